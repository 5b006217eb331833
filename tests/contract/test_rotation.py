"""The trust anchor replaced under a mesh on a real API server by the real Helm; and where private keys never are."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import os
import stat
from pathlib import Path

import pytest

from byomesh.demo.inventory import changes, resource_versions
from byomesh.local.build import Binaries
from byomesh.local.kubernetes import ControlPlane
from shared.mesh import apply, lease
from shared.mesh.engine import Mesh
from shared.mesh.linkerd import checks, verifying
from shared.mesh.linkerd.certificates import RotationStep, certificate_of, certificates_of, decode_anchor
from shared.mesh.observe import observe
from shared.mesh.plan import Kind, Plan
from shared.mesh.releases import decode_release
from shared.model import UNDECIDED, CheckOutcome
from tests.contract.mesh_on_a_cluster import CONFIG, PROFILE, SECRETS, World, beside_the_loop, now, until
from tests.unit.doors import MemorySecrets, MemoryStore

ISSUER = f"{SECRETS}/linkerd-identity-issuer"
ROOTS = "/api/v1/namespaces/linkerd/configmaps/linkerd-identity-trust-roots"
APP = "/api/v1/namespaces/app"
DAY = dt.timedelta(days=1)


@dataclasses.dataclass
class Fleet:
    """A cluster and the fleet's secret."""

    world: World
    secrets: MemorySecrets

    def take(self, step: RotationStep) -> None:
        MemoryStore(self.secrets).take(step, now())

    def run(self, later: dt.timedelta = dt.timedelta(0)) -> Plan:
        """One run of install_mesh, at a later time by its clock; one more right after it writes nothing."""
        plan = self.planned(later)
        if plan.kind is not Kind.NOTHING:
            self.world.until_ready()
            # Old pods that still end count as running.
            until(lambda: self.mesh(later).plan().kind is Kind.NOTHING)
        before = resource_versions(self.world.kube)
        assert self.planned(later).kind is Kind.NOTHING
        # The cluster itself notes where the pods are that have just been replaced.
        written = [one for one in changes(before, resource_versions(self.world.kube)) if "endpointslices" not in one]
        assert written == []
        return plan

    def planned(self, later: dt.timedelta) -> Plan:
        mesh = self.mesh(later)
        plan = mesh.plan()
        if plan.kind is not Kind.NOTHING:
            taken = lease.take(self.world.kube, "test", 300)
            assert isinstance(taken, lease.Lease)
            with taken:
                apply.carry_out(plan, self.world.kube, self.world.helm, mesh.desired.ours, taken)
        return plan

    def mesh(self, later: dt.timedelta) -> Mesh:
        world, store = self.world, MemoryStore(self.secrets)
        return Mesh(
            PROFILE, world.cluster, world.kube, world.helm, world.settings, store, lambda: now() + later, UNDECIDED
        )

    @property
    def trusted(self) -> int:
        return len(certificates_of(self.world.get(ROOTS)["data"]["ca-bundle.crt"], "it"))

    @property
    def issuer(self) -> str:
        return base64.b64decode(self.world.get(ISSUER)["data"]["tls.crt"]).decode()

    def identity_is_green(self) -> None:
        # Only these: a cluster without the Gateway API fails a check before them.
        report = checks.run(observe(self.world.kube), now(), expected_version=None, categories=_IDENTITY)
        assert {category.name for category in report.categories} == set(_IDENTITY)
        assert [one for _, one in report if one.outcome is not CheckOutcome.PASS] == []


_IDENTITY = ("linkerd-identity", "linkerd-webhooks-and-apisvc-tls")


async def test_a_trust_anchor_is_replaced_in_three_runs(
    binaries: Binaries, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with ControlPlane("rotation", tmp_path_factory.mktemp("rotation-cluster"), binaries) as plane:
        await plane.add_node("gke-rotation-default-pool-0001")
        world = World.of(plane, binaries, tmp_path_factory.mktemp("rotation"))
        await _three_runs(Fleet(world, MemorySecrets()))


@beside_the_loop
def _three_runs(fleet: Fleet) -> None:
    kube = fleet.world.kube
    assert fleet.run().kind is Kind.INSTALL
    old = fleet.issuer
    kube.create("/api/v1/namespaces", {"metadata": {"name": "app"}})
    _workload(fleet)

    fleet.take(RotationStep.BEGIN)
    assert fleet.run().kind is Kind.UPGRADE
    assert (fleet.trusted, fleet.issuer) == (2, old)
    fleet.identity_is_green()

    fleet.take(RotationStep.MOVE)
    held = fleet.run()
    assert (held.kind, fleet.issuer) == (Kind.NOTHING, old)
    (words,) = held.notes
    assert words.startswith(
        "the issuer keeps its trust anchor until what runs without trust in the new one is restarted"
    )
    assert words.endswith("(1 pods, of Pod app/shop)")
    kube.delete(f"{APP}/pods/shop")
    until(lambda: kube.get(f"{APP}/pods/shop") is None)
    _workload(fleet)
    moved = fleet.run()
    assert (moved.kind, moved.reason) == (Kind.REPAIR, "Secret linkerd/linkerd-identity-issuer is missing or due")
    assert fleet.issuer != old
    assert fleet.trusted == 2
    fleet.identity_is_green()

    fleet.take(RotationStep.FINISH)
    (note,) = fleet.run().notes
    assert note.startswith("the old trust anchor stays until 20")
    assert fleet.trusted == 2
    finished = fleet.run(later=DAY + dt.timedelta(hours=2))
    assert (finished.kind, fleet.trusted) == (Kind.UPGRADE, 1)
    (anchor,) = certificates_of(fleet.world.get(ROOTS)["data"]["ca-bundle.crt"], "it")
    certificate_of(fleet.issuer, "it").verify_directly_issued_by(anchor)
    fleet.identity_is_green()


def _workload(fleet: Fleet) -> None:
    """A meshed pod, as Linkerd's injector would make it now."""
    bundle = fleet.world.get(ROOTS)["data"]["ca-bundle.crt"]
    variable = {"name": "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS", "value": bundle}
    container = {"name": "linkerd-proxy", "image": "cr.l5d.io/linkerd/proxy:edge-26.6.3", "env": [variable]}
    metadata = {"name": "shop", "namespace": "app", "labels": {"linkerd.io/control-plane-ns": "linkerd"}}
    # A pod is admitted once its namespace has its account.
    until(lambda: fleet.world.kube.get(f"{APP}/serviceaccounts/default") is not None)
    fleet.world.kube.create(f"{APP}/pods", {"metadata": metadata, "spec": {"containers": [container]}})


async def test_no_private_key_is_where_it_does_not_belong(
    binaries: Binaries, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    async with ControlPlane("keys", tmp_path_factory.mktemp("keys-cluster"), binaries) as plane:
        await plane.add_node("gke-keys-default-pool-0001")
        world = World.of(plane, binaries, tmp_path_factory.mktemp("keys"))
        spy = _spied(world, tmp_path_factory.mktemp("spy"))
        fleet = Fleet(world, MemorySecrets())
        texts: dict[str, str] = {}
        keys: dict[str, str] = {}
        await _install(fleet, texts)
        await _read(fleet, keys)
    texts |= {"what Helm was told": spy.read_text(), "the log": "".join(capsys.readouterr())}
    assert "helm" in texts["what Helm was told"]
    assert "step: WriteSecret" in texts["the log"]
    assert len(keys) == 5
    for where, text in texts.items():
        found = [name for name, key in keys.items() if any(form in text for form in _forms(key))]
        assert (where, found) == (where, [])
        assert "PRIVATE KEY-----" not in text


def _spied(world: World, folder: Path) -> Path:
    """Put a program in Helm's place that writes down arguments and environment, and then is Helm."""
    told, program = folder / "told", folder / "helm"
    real = world.settings.helm
    program.write_text(f'#!/bin/sh\n{{ echo "helm $*"; env; }} >> {told}\nexec {real} "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    object.__setattr__(world.settings, "helm", str(program))
    return told


@beside_the_loop
def _install(fleet: Fleet, texts: dict[str, str]) -> None:
    mesh = fleet.mesh(dt.timedelta(0))
    plan = mesh.plan()
    texts["the plan"] = repr(plan)
    texts["the wish"] = repr(mesh.desired.releases)
    assert fleet.run().kind is Kind.INSTALL
    release = fleet.world.record_of("linkerd-control-plane")[1]
    texts["the release"] = repr(decode_release(release))
    texts["linkerd-config"] = str(fleet.world.get(CONFIG))
    texts["the trust roots"] = str(fleet.world.get(ROOTS))
    texts["the environment"] = str(dict(os.environ))
    texts["the store"] = repr(MemoryStore(fleet.secrets).trust(now()))
    seen = verifying.look(fleet.world.kube, PROFILE, fleet.world.cluster, now(), None, UNDECIDED)
    texts["the verification"] = repr(seen)


@beside_the_loop
def _read(fleet: Fleet, keys: dict[str, str]) -> None:
    for name in ("identity-issuer", "proxy-injector-k8s-tls", "sp-validator-k8s-tls", "policy-validator-k8s-tls"):
        data = fleet.world.get(f"{SECRETS}/linkerd-{name}")["data"]
        keys[name] = base64.b64decode(data["tls.key"]).decode()
    payload = next(one for one in fleet.secrets.versions if one is not None)
    keys["the trust anchor"] = decode_anchor(payload).signing.private_key_pem


def _forms(pem: str) -> list[str]:
    """How a key might show: a line of its PEM, and its PEM in base64, cut so that any offset is found."""
    lines = pem.splitlines()[1:-1]
    return [*lines[:2], "".join(lines)[:60], *(base64.b64encode(pem.encode()[at:])[4:60].decode() for at in range(3))]
