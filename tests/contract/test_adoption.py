"""A mesh of others on a real API server, by hand and by Helm, taken over with its trust and its values."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable

import pytest
import yaml

from byomesh.demo.inventory import changes, resource_versions
from byomesh.local.build import Binaries
from shared.errors import Refused
from shared.mesh import adoption, apply, lease
from shared.mesh.engine import Mesh
from shared.mesh.lease import Lease
from shared.mesh.linkerd.certificates import certificates_of
from shared.mesh.plan import Kind, Plan
from shared.mesh.releases import decode_release
from shared.model import MeshSettings
from tests.contract import test_repair_command as others
from tests.contract.mesh_on_a_cluster import (
    CONFIG,
    INJECTOR,
    LINKERD,
    PROFILE,
    SECRETS,
    World,
    beside_the_loop,
    now,
    until,
)

CONTROL_PLANE = "linkerd-control-plane"
ROOTS = f"{LINKERD}/configmaps/linkerd-identity-trust-roots"
ISSUER = f"{SECRETS}/linkerd-identity-issuer"


@pytest.fixture(scope="module", params=["by hand", "by Helm"])
async def theirs(
    request: pytest.FixtureRequest, binaries: Binaries, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    """A cluster with a mesh of others."""
    install: Callable[[World], None] = others.install_by_hand if request.param == "by hand" else others.install_by_helm
    async for world in others.world_of("theirs", binaries, tmp_path_factory):
        await asyncio.to_thread(install, world)
        yield world


def mesh(world: World, *, adopt: bool = True) -> Mesh:
    wish = MeshSettings(adopt=adopt)
    return Mesh(PROFILE, world.cluster, world.kube, world.helm, world.settings, world.store, now, wish)


def take_over(world: World) -> Plan:
    made = mesh(world)
    plan = made.plan()
    taken = lease.take(world.kube, "test", 300)
    assert isinstance(taken, Lease)
    with taken:
        apply.carry_out(plan, world.kube, world.helm, made.desired.ours, taken)
    world.until_ready()
    return plan


def roots(world: World) -> set[bytes]:
    bundle = world.get(ROOTS)["data"]["ca-bundle.crt"]
    return {one.tbs_certificate_bytes for one in certificates_of(bundle, "the bundle")}


def issuer(world: World) -> str:
    data = world.get(ISSUER)["data"]
    return str(data.get("tls.crt") or data["crt.pem"])


@beside_the_loop
def test_it_is_taken_over_with_its_trust_and_its_values_and_then_nothing_is_written(theirs: World) -> None:
    assert mesh(theirs, adopt=False).plan().kind is Kind.REFUSE
    theirs.kube.patch(CONFIG, {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "x"}}})
    before = resource_versions(theirs.kube)
    with pytest.raises(Refused, match=r"still applied by argocd\.argoproj\.io/tracking-id"):
        mesh(theirs).plan()
    written = [one for one in changes(before, resource_versions(theirs.kube)) if "/leases" not in one]
    assert written == []
    theirs.kube.patch(CONFIG, {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": None}}})

    trusted, signer = roots(theirs), issuer(theirs)
    served = theirs.get(INJECTOR)["webhooks"][0]["clientConfig"]["caBundle"]
    take_over(theirs)
    assert roots(theirs) > trusted, "their proxies must still be believed"
    assert issuer(theirs) == signer, "their proxies must believe what is signed"
    bundle = base64.b64decode(theirs.get(INJECTOR)["webhooks"][0]["clientConfig"]["caBundle"])
    assert base64.b64decode(served).strip() in bundle, "what their injector still serves must be believed"
    record = decode_release(theirs.record_of(CONTROL_PLANE)[1])
    assert (record.status, record.version) == ("deployed", PROFILE.releases[-1].version)
    assert "PRIVATE KEY" not in f"{record}"
    kept = {release: json.loads(text) for release, text in (theirs.get(adoption.PATH).get("data") or {}).items()}
    for key, value in kept.get(CONTROL_PLANE, {}).items():
        assert yaml.safe_load(theirs.get(CONFIG)["data"]["values"])[key] == value

    # Their issuer may go once all their proxies believe the fleet's, which here are only the control plane's own.
    until(lambda: take_over(theirs).kind is Kind.NOTHING)
    assert roots(theirs) > trusted
    before = others.quiet(theirs)
    assert take_over(theirs).kind is Kind.NOTHING
    written = [one for one in changes(before, resource_versions(theirs.kube)) if "/leases" not in one]
    assert written == []
