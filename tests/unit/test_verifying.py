"""Linkerd as one verification sees it: its version, its checks, and where its networks must be mended."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
import yaml

from shared import gke
from shared.mesh.hooks import Verification, verify_hooks
from shared.mesh.linkerd import verifying
from shared.mesh.linkerd.certificates import new_trust_anchor
from shared.mesh.linkerd.networks import DEFAULT_NETWORKS
from shared.mesh.profile import load_profile
from shared.mesh.snapshot import MeshSnapshot
from shared.model import UNDECIDED, CheckReport
from tests.unit.doors import NOW, autopilot
from tests.unit.memory_kube import MemoryKube

PROFILE = load_profile("linkerd")
LINKERD = "/api/v1/namespaces/linkerd"
CONFIG = f"{LINKERD}/configmaps/linkerd-config"
OVERRIDES = f"{LINKERD}/secrets/linkerd-config-overrides"
DEPLOYMENTS = "/apis/apps/v1/namespaces/linkerd/deployments"
KUBERNETES = "/api/v1/namespaces/default/services/kubernetes"
NETWORKS = f"{DEFAULT_NETWORKS},34.118.224.0/20"


def values(networks: Any) -> dict[str, Any]:
    text = yaml.safe_dump({"clusterNetworks": networks, "linkerdVersion": "edge-26.6.3"}, width=10_000)
    return {"data": {"values": text}}


def deployment(networks: str) -> dict[str, Any]:
    variables = [{"name": "LINKERD2_PROXY_POLICY_CLUSTER_NETWORKS", "value": networks}]
    pod = {"containers": [{"name": "linkerd-proxy", "env": variables}]}
    return {"spec": {"template": {"spec": pod}}}


@pytest.fixture
def kube() -> MemoryKube:
    """A cluster whose every place says the right networks."""
    found = MemoryKube({LINKERD: {}, CONFIG: values(NETWORKS)})
    for name in (*PROFILE.deployments, "web"):
        found.put(f"{DEPLOYMENTS}/{name}", deployment(NETWORKS))
    found.put(KUBERNETES, {"spec": {"clusterIP": "34.118.224.1"}})
    return found


def look(kube: MemoryKube, cluster: gke.Cluster | None = None, expected: str | None = None) -> Verification:
    seen: Verification = verifying.look(kube, PROFILE, cluster or autopilot(), NOW, expected, UNDECIDED)
    assert kube.writes == []
    return seen


def mended(seen: Verification) -> tuple[str, set[str]]:
    """The networks that a verification would write, and the objects that it would write."""
    text = json.dumps([patch.body for patch in seen.repairs])
    (line,) = {word.partition("\\n")[0] for word in text.split("clusterNetworks: ")[1:]}
    return line, {patch.path.rpartition("/")[2] for patch in seen.repairs}


EVERYWHERE = {"linkerd-config", *PROFILE.deployments}


def test_the_profile_names_this_verification() -> None:
    assert verify_hooks(PROFILE) is verifying


def test_a_mesh_that_agrees_needs_nothing(kube: MemoryKube) -> None:
    seen = look(kube)
    assert (seen.repairs, seen.version) == ((), "edge-26.6.3")
    assert seen.report.categories


OURS = {"metadata": {"labels": {"app.kubernetes.io/managed-by": "byomesh"}}}


def test_whose_mesh_it_is_shows_in_the_namespace(kube: MemoryKube) -> None:
    assert look(kube).foreign == ("nobody known",)
    managed = {"managedFields": [{"manager": "helm"}, {"manager": "kubectl-edit"}]}
    kube.put(CONFIG, {**values(NETWORKS), "metadata": managed})
    assert look(kube).foreign == ("helm", "kubectl-edit")
    kube.put(LINKERD, OURS)
    assert look(kube).foreign == ()


def test_a_cluster_without_a_mesh_has_nothing_to_mend() -> None:
    seen = look(MemoryKube())
    assert (seen.repairs, seen.version, seen.foreign) == ((), "", ())
    assert not seen.report.healthy


@pytest.mark.parametrize("text", ["", "- a", "{"])
def test_values_that_cannot_be_read_are_not_mended(kube: MemoryKube, text: str) -> None:
    kube.put(CONFIG, {"data": {"values": text}})
    seen = look(kube)
    assert (seen.repairs, seen.version) == ((), "")


def reset(kube: MemoryKube, networks: Any) -> None:
    kube.put(CONFIG, values(networks))
    for name in PROFILE.deployments:
        kube.put(f"{DEPLOYMENTS}/{name}", deployment(str(networks)))


UNREADABLE = ["10.0.0.0/8, 34.118.224.0/20", "10.0.0.0", "", None]


@pytest.mark.parametrize("live", [DEFAULT_NETWORKS, *UNREADABLE])
def test_what_the_clusters_own_ranges_miss_is_mended_everywhere(kube: MemoryKube, live: str | None) -> None:
    reset(kube, live)
    assert mended(look(kube)) == (NETWORKS, EVERYWHERE)


def test_what_somebody_added_stays(kube: MemoryKube) -> None:
    reset(kube, f"203.0.113.0/24,{DEFAULT_NETWORKS}")
    assert mended(look(kube)) == (f"{DEFAULT_NETWORKS},34.118.224.0/20,203.0.113.0/24", EVERYWHERE)


def test_addresses_that_gkes_ranges_do_not_hold_are_covered_by_themselves(kube: MemoryKube) -> None:
    kube.put("/api/v1/namespaces/a/pods/p", {"spec": {}, "status": {"podIP": "198.51.100.7", "phase": "Running"}})
    kube.put("/api/v1/nodes/n", {"spec": {"podCIDR": "203.0.113.0/26"}})
    networks, places = mended(look(kube))
    assert (networks, places) == (f"{NETWORKS},198.51.100.7/32,203.0.113.0/26", EVERYWHERE)


def test_a_range_of_gkes_covers_a_service_as_a_whole(kube: MemoryKube) -> None:
    wider = autopilot(service_ranges=("34.118.224.0/20", "203.0.112.0/22"))
    kube.put("/api/v1/namespaces/a/services/s", {"spec": {"clusterIP": "203.0.113.9"}})
    assert mended(look(kube, wider))[0] == f"{NETWORKS},203.0.112.0/22"


def test_another_spelling_that_covers_the_same_is_left_alone(kube: MemoryKube) -> None:
    reset(kube, f"34.118.0.0/16,{DEFAULT_NETWORKS}")
    assert look(kube).repairs == ()
    # One place that says otherwise is enough to mend them all.
    kube.put(f"{DEPLOYMENTS}/linkerd-identity", deployment(NETWORKS))
    networks, places = mended(look(kube))
    assert (networks, places) == (f"{DEFAULT_NETWORKS},34.118.0.0/16", EVERYWHERE)


def test_a_deployment_that_alone_is_wrong_is_mended_alone(kube: MemoryKube) -> None:
    kube.put(f"{DEPLOYMENTS}/linkerd-identity", deployment(DEFAULT_NETWORKS))
    assert [patch.path for patch in look(kube).repairs] == [f"{DEPLOYMENTS}/linkerd-identity"]


def test_other_workloads_in_the_namespace_are_not_ours_to_mend(kube: MemoryKube) -> None:
    reset(kube, DEFAULT_NETWORKS)
    kube.put(f"{DEPLOYMENTS}/web", deployment(DEFAULT_NETWORKS))
    assert mended(look(kube))[1] == EVERYWHERE


@pytest.mark.parametrize("data", [{}, {"linkerd-config-overrides": "cHJveHk6IHt9Cg=="}])
def test_the_overrides_of_the_cli_are_mended_too(kube: MemoryKube, data: dict[str, str]) -> None:
    kube.put(OVERRIDES, {"data": data})
    assert [patch.path for patch in look(kube).repairs] == [OVERRIDES]


def test_a_mesh_that_goes_away_meanwhile_is_not_mended(kube: MemoryKube) -> None:
    reset(kube, DEFAULT_NETWORKS)
    get = kube.get

    def gone(path: str) -> dict[str, Any] | None:
        return None if path == CONFIG else get(path)

    kube.get = gone  # type: ignore[method-assign]
    assert look(kube).repairs == ()


@pytest.mark.parametrize(("asked", "expected"), [("edge-99.1.1", "edge-99.1.1"), (None, "edge-26.6.3")])
def test_the_checks_expect_what_was_installed(
    kube: MemoryKube, monkeypatch: pytest.MonkeyPatch, asked: str | None, expected: str
) -> None:
    given: list[tuple[dt.datetime, str | None]] = []

    def run(
        _: MeshSnapshot, now: dt.datetime, *, expected_version: str | None, categories: tuple[str, ...]
    ) -> CheckReport:
        given.append((now, expected_version))
        assert "byomesh" in categories
        return CheckReport()

    monkeypatch.setattr("shared.mesh.linkerd.checks.run", run)
    assert look(kube, expected=asked).version == "edge-26.6.3"
    assert given == [(NOW, expected)]


def test_a_trust_anchor_that_nears_its_end_is_told_with_what_to_do(kube: MemoryKube) -> None:
    anchor = new_trust_anchor(NOW, lifetime=dt.timedelta(days=700))
    kube.put(ROOTS, {"data": {"ca-bundle.crt": anchor.certificate_pem}})
    kube.objects[LINKERD]["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "byomesh"}
    (note,) = look(kube).notes
    assert note.endswith("ends at 2028-04-03T09:00:00Z; replace it with: byomesh rotate-anchor begin")
    kube.objects[LINKERD]["metadata"]["labels"] = {}
    assert look(kube).notes == ()
    lasting = new_trust_anchor(NOW).certificate_pem
    kube.put(ROOTS, {"data": {"ca-bundle.crt": anchor.certificate_pem + lasting}})
    kube.objects[LINKERD]["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "byomesh"}
    assert look(kube).notes == ()


ROOTS = f"{LINKERD}/configmaps/linkerd-identity-trust-roots"
