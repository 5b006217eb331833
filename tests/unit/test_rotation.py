"""A cluster's part in a rotation, state by state; what running proxies trust; the fleet's own steps."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from typing import Any

import pytest

from shared.config import Settings
from shared.errors import Permanent
from shared.mesh.fleet import SecretStore, fleet_store
from shared.mesh.fleet_trust import FleetTrust
from shared.mesh.linkerd import trusting
from shared.mesh.linkerd.certificates import (
    AnchorPayload,
    Issuer,
    RotationStep,
    TrustAnchor,
    UnreadableCertificate,
    certificate_of,
    decode_anchor,
    encode_anchor,
    new_anchor_payload,
    new_issuer,
    new_trust_anchor,
    next_step,
    stepped,
)
from shared.mesh.linkerd.proxy_trust import Lacking, ProxyTrust, fold
from shared.mesh.linkerd.rotation import ClusterTrust, Standing, allows, decide, needs_proxies, standing
from shared.mesh.linkerd.secrets import issued, issuer_secret, kept_issuer
from tests.unit.doors import NOW, MemorySecrets, MemoryStore
from tests.unit.memory_kube import MemoryKube

DAY, HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)
OLD = new_anchor_payload(NOW)
BOTH = stepped(OLD, RotationStep.BEGIN, NOW)
MOVED = stepped(BOTH, RotationStep.MOVE, NOW)
NEW = stepped(MOVED, RotationStep.FINISH, NOW)
OLD_ISSUER, NEW_ISSUER = new_issuer(OLD, NOW), new_issuer(NEW, NOW)


def trust(payload: AnchorPayload) -> FleetTrust:
    signers = tuple(one.certificate_pem for one in (payload.signing, *payload.standby))
    return FleetTrust(trust_anchors=payload.trust_anchors, signers=signers)


def cluster(issuer: Issuer | None, payload: AnchorPayload, written: dt.datetime | None = NOW) -> ClusterTrust:
    return ClusterTrust(issuer=issuer, issued=written if issuer else None, published=payload.trust_anchors.strip())


def proxies(*payloads: AnchorPayload, oldest: dt.datetime | None = NOW) -> ProxyTrust:
    bundles = tuple(
        (frozenset(map(_read, _split(one.trust_anchors))), Lacking(1, (f"Deployment app/{number}",)))
        for number, one in enumerate(payloads)
    )
    return ProxyTrust(bundles=bundles, oldest=oldest)


def _split(bundle: str) -> list[str]:
    end = "-----END CERTIFICATE-----\n"
    return [f"{one}{end}" for one in bundle.split(end) if one.strip()]


def _read(pem: str) -> Any:
    return certificate_of(pem, "it")


def test_a_new_cluster_is_signed_by_the_anchor_that_the_fleet_prefers() -> None:
    for payload in (OLD, BOTH, MOVED, NEW):
        decision = decide(ClusterTrust(), trust(payload), ProxyTrust(), NOW)
        assert decision.signer == payload.signing.certificate_pem
        assert (decision.trust_anchors, decision.waits_for) == (payload.trust_anchors, ())


def test_a_good_issuer_stays_and_no_proxy_is_asked() -> None:
    here = cluster(OLD_ISSUER, OLD)
    assert not needs_proxies(here, trust(OLD))
    decision = decide(here, trust(OLD), ProxyTrust(), NOW + 245 * DAY)
    assert (decision.signer, decision.trust_anchors) == ("", OLD.trust_anchors)


def test_a_due_issuer_is_renewed_unless_a_new_one_would_live_no_longer() -> None:
    assert decide(cluster(OLD_ISSUER, OLD), trust(OLD), ProxyTrust(), NOW + 246 * DAY).signer == (
        OLD.signing.certificate_pem
    )
    anchor = new_trust_anchor(NOW, lifetime=100 * DAY)
    short = AnchorPayload(anchor.certificate_pem, anchor)
    assert decide(cluster(new_issuer(short, NOW), short), trust(short), ProxyTrust(), NOW).signer == ""


def test_first_run_both_are_published_and_the_issuer_stays() -> None:
    decision = decide(cluster(OLD_ISSUER, OLD), trust(BOTH), proxies(OLD), NOW)
    assert (decision.signer, decision.trust_anchors, decision.waits_for) == ("", BOTH.trust_anchors, ())


def test_second_run_waits_for_every_proxy_by_name() -> None:
    here = cluster(OLD_ISSUER, BOTH)
    assert needs_proxies(here, trust(MOVED))
    held = decide(here, trust(MOVED), proxies(BOTH, OLD), NOW)
    assert held.signer == ""
    (words,) = held.waits_for
    assert words == (
        "the issuer keeps its trust anchor until what runs without trust in the new one is restarted (1 pods, of "
        "Deployment app/1)"
    )
    assert decide(here, trust(MOVED), proxies(BOTH, BOTH), NOW).signer == MOVED.signing.certificate_pem


def test_a_held_issuer_that_is_due_is_renewed_by_its_own_anchor() -> None:
    decision = decide(cluster(OLD_ISSUER, BOTH), trust(MOVED), proxies(OLD), NOW + 300 * DAY)
    assert decision.signer == OLD.signing.certificate_pem
    # Where that can't sign any more, the old one stays as long as it lives.
    assert decide(cluster(OLD_ISSUER, BOTH), trust(NEW), proxies(OLD), NOW + 300 * DAY).signer == ""


def test_an_anchor_that_is_not_published_here_does_not_sign() -> None:
    held = decide(cluster(OLD_ISSUER, OLD), trust(MOVED), ProxyTrust(), NOW)
    assert (held.signer, held.trust_anchors) == ("", MOVED.trust_anchors)
    assert held.waits_for == ("the issuer keeps its trust anchor until the new one is published here",)


def test_third_run_waits_for_the_last_certificate_of_the_old_issuer() -> None:
    here = cluster(NEW_ISSUER, BOTH)
    held = decide(here, trust(NEW), proxies(BOTH), NOW + 24 * HOUR)
    assert held.trust_anchors == BOTH.trust_anchors
    (words,) = held.waits_for
    assert words == (
        "the old trust anchor stays until 2026-05-05T10:00:00Z, for until then proxies may show certificates of the "
        "old issuer"
    )
    over = decide(here, trust(NEW), proxies(BOTH), NOW + 25 * HOUR)
    assert (over.trust_anchors, over.waits_for) == (NEW.trust_anchors, ())


def test_third_run_need_not_wait_where_every_pod_is_younger_than_the_issuer() -> None:
    here = cluster(NEW_ISSUER, BOTH)
    young = proxies(BOTH, oldest=NOW + dt.timedelta(minutes=11))
    assert decide(here, trust(NEW), young, NOW + HOUR).trust_anchors == NEW.trust_anchors
    unknown = proxies(BOTH, oldest=None)
    assert decide(here, trust(NEW), unknown, NOW + HOUR).trust_anchors == BOTH.trust_anchors


def test_the_old_anchor_stays_where_the_issuer_or_a_proxy_still_needs_it() -> None:
    for here, running, words in (
        (cluster(OLD_ISSUER, BOTH), proxies(OLD), "until the issuer has moved to the new one"),
        (cluster(NEW_ISSUER, BOTH), proxies(OLD), "until what runs without trust in the new one is restarted"),
        (cluster(None, BOTH), proxies(OLD), "until the cluster has an issuer again"),
    ):
        held = decide(here, trust(NEW), running, NOW + 30 * DAY)
        assert held.trust_anchors == BOTH.trust_anchors
        assert words in held.waits_for[-1]


def test_a_cluster_that_slept_through_it_all_goes_on_as_it_was() -> None:
    decision = decide(cluster(OLD_ISSUER, OLD), trust(NEW), proxies(OLD), NOW)
    assert decision.signer == ""
    assert sorted(_split(decision.trust_anchors)) == sorted(_split(BOTH.trust_anchors))


def test_a_lost_issuer_is_signed_by_whom_all_proxies_trust() -> None:
    assert decide(cluster(None, BOTH), trust(MOVED), proxies(OLD), NOW).signer == OLD.signing.certificate_pem
    assert decide(cluster(None, BOTH), trust(MOVED), proxies(BOTH), NOW).signer == NEW.signing.certificate_pem
    assert decide(cluster(None, BOTH), trust(NEW), proxies(OLD), NOW).signer == NEW.signing.certificate_pem


def test_what_has_ended_helps_nobody() -> None:
    anchor = new_trust_anchor(NOW, lifetime=DAY)
    ended = AnchorPayload(anchor.certificate_pem, anchor)
    successor = new_trust_anchor(NOW)
    both = AnchorPayload(ended.trust_anchors + successor.certificate_pem, successor, (anchor,))
    decision = decide(cluster(new_issuer(ended, NOW), both), trust(both), proxies(ended), NOW + 2 * DAY)
    assert decision.signer == successor.certificate_pem
    assert decision.trust_anchors == successor.certificate_pem
    alone = AnchorPayload(successor.certificate_pem, successor)
    assert decide(cluster(None, both), trust(alone), proxies(), NOW + 2 * DAY).trust_anchors == alone.trust_anchors
    assert decide(cluster(None, ended), trust(ended), proxies(), NOW + 2 * DAY).trust_anchors == ended.trust_anchors


def test_the_published_text_stays_where_it_says_the_same() -> None:
    turned = AnchorPayload("".join(_split(BOTH.trust_anchors)[::-1]), OLD.signing)
    decision = decide(cluster(NEW_ISSUER, turned), trust(NEW), proxies(BOTH), NOW)
    assert decision.trust_anchors == turned.trust_anchors


def stands(here: ClusterTrust, payload: AnchorPayload, *running: AnchorPayload, later: dt.timedelta = HOUR) -> Standing:
    return standing(here, trust(payload), proxies(*running), NOW + later)


def test_where_a_cluster_stands_and_what_it_allows() -> None:
    nothing = stands(ClusterTrust(), BOTH)
    assert all(allows(step, nothing) for step in RotationStep)
    behind = stands(cluster(OLD_ISSUER, OLD), BOTH, OLD)
    assert not allows(RotationStep.MOVE, behind)
    assert behind.waits_for[0] == "not all proxies trust all anchors until the new one is published here"
    ready = stands(cluster(OLD_ISSUER, BOTH), BOTH, BOTH)
    assert allows(RotationStep.BEGIN, ready)
    assert allows(RotationStep.MOVE, ready)
    young = stands(cluster(NEW_ISSUER, BOTH), MOVED, BOTH)
    assert not allows(RotationStep.FINISH, young)
    assert allows(RotationStep.FINISH, stands(cluster(NEW_ISSUER, BOTH), MOVED, BOTH, later=25 * HOUR))
    wide = stands(cluster(NEW_ISSUER, BOTH), NEW, BOTH)
    assert not wide.alone
    assert wide.waits_for[-1] == "it publishes 1 trust anchors more than the fleet does"


def pod(name: str, variable: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    containers = [] if variable is None else [{"name": "linkerd-proxy", "env": [variable]}]
    metadata = {"name": name, "namespace": "app", "creationTimestamp": NOW.isoformat(), **more}
    return {"metadata": metadata, "spec": {"containers": containers}, "status": {"phase": "Running"}}


def anchors(text: str | None) -> dict[str, Any]:
    value: dict[str, Any] = {"valueFrom": {}} if text is None else {"value": text}
    return {"name": "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS", **value}


def test_proxies_are_folded_by_what_they_trust() -> None:
    controller = {"kind": "ReplicaSet", "name": "web-5d4f", "controller": True}
    known = hashlib.sha256(BOTH.trust_anchors.encode()).hexdigest()
    owned = {"ownerReferences": [controller], "labels": {"pod-template-hash": "5d4f"}}
    over = pod("over", anchors("nothing"))
    over["status"]["phase"] = "Succeeded"
    found = fold(
        [
            pod("web-1", anchors(OLD.trust_anchors), **owned),
            pod("web-2", anchors(OLD.trust_anchors), **owned),
            pod("set-0", anchors(BOTH.trust_anchors), ownerReferences=[{**controller, "kind": "StatefulSet"}]),
            pod("destination", anchors(None), annotations={"linkerd.io/trust-root-sha256": known}),
            pod("stranger", anchors(None), annotations={"linkerd.io/trust-root-sha256": "?"}),
            pod("mangled", anchors("no PEM")),
            pod("without", None),
            over,
        ],
        [BOTH.trust_anchors.strip()],
    )
    old, new = map(_read, _split(BOTH.trust_anchors))
    assert found.lacking(old) == Lacking(2, ("Pod app/stranger", "Pod app/mangled"))
    assert found.lacking(new) == Lacking(4, ("Deployment app/web", "Pod app/stranger", "Pod app/mangled"))
    assert str(found.lacking(new)).startswith("4 pods, of Deployment app/web, Pod")
    assert found.oldest == NOW
    assert fold([pod("web", anchors(""), creationTimestamp=None)], []).oldest is None
    assert str(fold([], []).lacking(old)) == "none"


def test_a_proxy_without_the_variable_trusts_nothing_that_is_known() -> None:
    found = fold([pod("web", {"name": "OTHER"})], [BOTH.trust_anchors])
    assert found.lacking(_read(OLD.trust_anchors)).pods == 1


def test_an_issuer_of_linkerds_own_scheme_is_read_and_dated_by_its_last_writer() -> None:
    secret = issuer_secret(OLD_ISSUER, "linkerd")
    data = {"crt.pem": secret["data"]["tls.crt"], "key.pem": secret["data"]["tls.key"]}
    theirs = {"metadata": {"name": "linkerd-identity-issuer", "managedFields": [{"time": "2026-05-04T10:00:00Z"}, {}]}}
    found = kept_issuer({"linkerd-identity-issuer": {**theirs, "data": data}}, OLD.trust_anchors)
    assert found == OLD_ISSUER
    assert issued(theirs, found) == NOW + HOUR
    assert issued(None, found) == NOW - dt.timedelta(minutes=5)
    assert issued(theirs, None) is None
    assert kept_issuer({}, "") is None
    del data["key.pem"]
    assert kept_issuer({"linkerd-identity-issuer": {**theirs, "data": data}}, OLD.trust_anchors) is None


def test_what_is_found_in_a_cluster_shows_no_key() -> None:
    kube = MemoryKube()
    secret = issuer_secret(OLD_ISSUER, "linkerd")
    kube.put("/api/v1/namespaces/linkerd/secrets/linkerd-identity-issuer", secret)
    found = trusting.look(kube, "linkerd", trust(OLD), always_proxies=True)
    assert found.cluster.issuer == OLD_ISSUER
    assert secret["data"]["tls.key"] not in repr(found)
    assert "PRIVATE" not in repr(found)
    assert trusting.standing(kube, "linkerd", trust(OLD), NOW).trusts_all


# The fleet's own steps ------------------------------------------------------------------------------------------------


def test_the_steps_of_a_payload() -> None:
    assert [next_step(one) for one in (OLD, BOTH, MOVED, NEW)] == ["begin", "move", "finish", "begin"]
    assert (BOTH.signing, MOVED.standby) == (OLD.signing, (OLD.signing,))
    assert NEW.trust_anchors == MOVED.signing.certificate_pem == BOTH.standby[0].certificate_pem
    for one in (BOTH, MOVED):
        assert decode_anchor(encode_anchor(one)) == one


def test_an_anchor_on_standby_must_be_trusted_and_have_its_key() -> None:
    stranger = new_trust_anchor(NOW)
    lone = encode_anchor(AnchorPayload(OLD.trust_anchors, OLD.signing, (stranger,)))
    with pytest.raises(UnreadableCertificate, match="a trust anchor on standby isn't among the trust anchors"):
        decode_anchor(lone)
    mixed = TrustAnchor(OLD.signing.certificate_pem, stranger.private_key_pem)
    with pytest.raises(UnreadableCertificate, match="a trust anchor on standby's private key doesn't belong"):
        decode_anchor(encode_anchor(AnchorPayload(OLD.trust_anchors, OLD.signing, (mixed,))))


def test_a_store_takes_the_next_step_only_and_keeps_what_was_before() -> None:
    secrets = MemorySecrets()
    assert MemoryStore(secrets).next_step(NOW) is RotationStep.BEGIN
    with pytest.raises(Permanent, match="finish isn't the next step of the rotation, begin is"):
        MemoryStore(secrets).take(RotationStep.FINISH, NOW)
    for step in RotationStep:
        MemoryStore(secrets).take(step, NOW)
    assert [one is not None for one in secrets.versions] == [False, False, False, True]


def test_what_a_cut_off_step_left_behind_never_becomes_the_truth() -> None:
    class Cut(MemorySecrets):
        cuts = 2

        def cut(self) -> None:
            self.cuts -= 1
            if self.cuts >= 0:
                raise ConnectionError

    secrets = Cut()
    truth = MemoryStore(secrets).trust(NOW)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            MemoryStore(secrets).take(RotationStep.BEGIN, NOW)
        assert MemoryStore(secrets).trust(NOW) == truth
    MemoryStore(secrets).take(RotationStep.BEGIN, NOW)
    begun = MemoryStore(secrets).trust(NOW)
    MemoryStore(secrets).take(RotationStep.MOVE, NOW)
    assert MemoryStore(secrets).trust(NOW).signers == begun.signers[::-1]


def test_a_store_signs_one_issuer_a_cluster_and_by_its_own_anchors_only() -> None:
    store = MemoryStore()
    (signer,) = store.trust(NOW).signers
    first = store.issue("one", signer, NOW)
    assert store.issue("one", signer, NOW) == first
    assert store.issue("two", signer, NOW) != first
    assert base64.b64encode(first.private_key_pem.encode()).decode() not in repr(first)
    assert "PRIVATE" not in repr(first)
    assert MemoryStore(MemorySecrets()).trust(NOW).signers != (signer,)
    with pytest.raises(LookupError):
        MemoryStore().issue("one", signer, NOW)


def test_the_settings_name_one_store() -> None:
    assert isinstance(fleet_store(Settings(trust_anchor_secret="projects/p/secrets/s")), SecretStore)
    with pytest.raises(Permanent, match="neither BYOMESH_TRUST_ANCHOR_SECRET nor BYOMESH_CA_POOL is set"):
        fleet_store(Settings())
