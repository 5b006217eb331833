"""A fleet in rotation, played by a machine that crashes, waits and restarts at will; after every write all is trusted.

What decides is the real thing: `installing.prepare` over an API server in memory, and the rotation of the store. What
is played are Linkerd's own parts, as linkerd2 has them: a proxy reads its anchors when it starts and gets a certificate
for a day; the identity controller reads the anchors when it starts, and takes up a new issuer from its Secret within
minutes if it trusts it; the injector gives a pod the bundle that it has mounted; a Deployment's pods are replaced one
by one, each when it likes.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import functools
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from hypothesis.stateful import run_state_machine_as_test as play

from shared.mesh.linkerd import installing, rotation, trusting
from shared.mesh.linkerd.certificates import RotationStep, certificate_of, certificates_of
from shared.mesh.linkerd.lifetimes import LEAF_LIFETIME
from shared.mesh.profile import load_profile
from shared.model import UNDECIDED
from tests.unit.doors import NOW, MemorySecrets, MemoryStore, autopilot
from tests.unit.memory_kube import MemoryKube

PROFILE = load_profile("linkerd")
LINKERD = "/api/v1/namespaces/linkerd"
ISSUER = f"{LINKERD}/secrets/linkerd-identity-issuer"
ROOTS = f"{LINKERD}/configmaps/linkerd-identity-trust-roots"
COMPONENTS = ("identity", "destination", "proxy-injector")
MINUTE, HOUR = dt.timedelta(minutes=1), dt.timedelta(hours=1)
ENV = "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS"


@functools.cache
def anchors_of(pem: str) -> frozenset[Any]:
    return frozenset(certificates_of(pem, "it"))


@functools.cache
def anchor_of(issuer_pem: str, anchors: frozenset[Any]) -> Any:
    issuer = certificate_of(issuer_pem, "it")
    for anchor in anchors:
        if anchor.subject == issuer.issuer:
            try:
                issuer.verify_directly_issued_by(anchor)
            except Exception:  # noqa: BLE001, S112 - any failure is "not this one"
                continue
            return anchor
    return None


@dataclasses.dataclass
class Proxy:
    """A running proxy.

    Attributes:
        trusts: the anchors that it read when it started.
        issuer: PEM of the issuer of its certificate.
        issued: when it got that.
    """

    name: str
    created: dt.datetime
    trusts: str
    issuer: str
    issued: dt.datetime
    component: str = ""
    hash: str = ""


NAMES = ("one", "two")


class Cluster:
    """A cluster, with its automation's plan under way."""

    def __init__(self, name: str, world: World) -> None:
        self.name = name
        self.world = world
        self.kube = MemoryKube()
        self.proxies: list[Proxy] = []
        self.loaded = ""
        """The issuer that identity signs with."""
        self.identity_trusts = ""
        self.mounted = ""
        """The bundle that the injector gives to pods."""
        self.template = ""
        self.outdated: list[Proxy] = []
        self.pending: list[Callable[[], None]] = []
        self.planned = world.now
        self.secret_written = world.now
        self.count = 0

    # The automation ---------------------------------------------------------------------------------------------------

    def plan(self) -> None:
        """Decide, and keep the writes for later: each is one step, and any may be the last."""
        cluster = autopilot()
        for proxy in self.proxies:
            self.kube.put(f"/api/v1/namespaces/{'linkerd' if proxy.component else 'app'}/pods/{proxy.name}", pod(proxy))
        store = MemoryStore(self.world.secrets)
        prepared = installing.prepare(self.kube, PROFILE, cluster, store, self.world.now, UNDECIDED)
        bundle = prepared.values["linkerd-control-plane"]["identityTrustAnchorsPEM"]
        self.planned = self.world.now
        issuers = [one for one in prepared.secrets if one["metadata"]["name"] == "linkerd-identity-issuer"]
        self.pending = [functools.partial(self.write_secret, one) for one in issuers]
        roots = self.kube.objects.get(ROOTS)
        if roots is None or roots["data"]["ca-bundle.crt"] != bundle.strip() or self.template != bundle:
            self.pending += [lambda: self.write_roots(bundle), lambda: self.write_deployments(bundle)]

    def write_secret(self, secret: dict[str, Any]) -> None:
        moment = self.world.now.isoformat()
        self.kube.put(ISSUER, {**secret, "metadata": {"managedFields": [{"manager": "byomesh", "time": moment}]}})
        self.secret_written = self.world.now

    def write_roots(self, bundle: str) -> None:
        self.kube.put(ROOTS, {"data": {"ca-bundle.crt": bundle.strip()}})

    def write_deployments(self, bundle: str) -> None:
        first = not self.template
        self.template = bundle
        if first:
            self.identity_trusts, self.mounted, self.loaded = self.roots, self.roots, self.secret
            for component in COMPONENTS:
                self.start(component)
        else:
            self.outdated = [one for one in self.proxies if one.component]

    # Linkerd and Kubernetes -------------------------------------------------------------------------------------------

    @property
    def roots(self) -> str:
        return str(self.kube.objects[ROOTS]["data"]["ca-bundle.crt"])

    @property
    def secret(self) -> str:
        return base64.b64decode(self.kube.objects[ISSUER]["data"]["tls.crt"]).decode()

    def start(self, component: str = "") -> Proxy:
        """A pod starts: a control-plane one with what the ConfigMap says, another with what the injector says."""
        self.count += 1
        trusts = self.roots if component else self.mounted
        made = Proxy(f"p{self.count}", self.world.now, trusts, self.loaded, self.world.now, component)
        made.hash = hashlib.sha256(self.template.encode()).hexdigest() if component else ""
        self.proxies.append(made)
        return made

    def stop(self, proxy: Proxy) -> None:
        self.proxies.remove(proxy)
        self.outdated = [one for one in self.outdated if one is not proxy]
        self.kube.objects.pop(f"/api/v1/namespaces/{'linkerd' if proxy.component else 'app'}/pods/{proxy.name}", None)

    def roll(self) -> None:
        """One outdated pod of the control plane is replaced."""
        old = self.outdated[0]
        if old.component == "identity":
            self.identity_trusts = self.roots
            self.take_up()
        if old.component == "proxy-injector":
            self.mounted = self.roots
        self.start(old.component)
        self.stop(old)

    def take_up(self) -> None:
        """Identity looks at the mounted Secret."""
        if anchor_of(self.secret, anchors_of(self.identity_trusts)) is not None:
            self.loaded = self.secret

    def renew(self, proxy: Proxy) -> None:
        proxy.issuer, proxy.issued = self.loaded, self.world.now

    def settle(self) -> None:
        """Minutes have passed: the kubelet has refreshed what is mounted, and certificates that ended were renewed."""
        if not self.template:
            return
        self.mounted = self.roots
        self.take_up()
        for proxy in self.proxies:
            if self.world.now - proxy.issued > LEAF_LIFETIME:
                self.renew(proxy)


def pod(proxy: Proxy) -> dict[str, Any]:
    variable = {"name": ENV, "valueFrom": {}} if proxy.component else {"name": ENV, "value": proxy.trusts}
    return {
        "metadata": {
            "creationTimestamp": proxy.created.isoformat(),
            "labels": {"linkerd.io/control-plane-ns": "linkerd"},
            "annotations": {"linkerd.io/trust-root-sha256": proxy.hash} if proxy.component else {},
        },
        "spec": {"containers": [{"name": "linkerd-proxy", "env": [variable]}]},
        "status": {"phase": "Running"},
    }


class Crash(Exception):
    """The process ends here."""


class CrashingSecrets(MemorySecrets):
    crash = False

    def cut(self) -> None:
        if self.crash:
            raise Crash


class World:
    def __init__(self) -> None:
        self.now = NOW
        self.secrets = CrashingSecrets()
        self.clusters = [Cluster(name, self) for name in NAMES]


DELAYS = [MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, 23 * HOUR, 30 * HOUR]
ACTS = (
    *("complete", "follow") * 3,
    *("step",) * 4,
    *("plan", "write", "write", "write", "crash", "roll"),
    *("start", "restart", "restart_all"),
    *("renew", "refresh"),
    *("wait",) * 3,
)
"""What may happen next, the more often the more often it is named."""


class Fleet(RuleBasedStateMachine):
    """What may happen. `careful`: the steps are taken as the command takes them, when all clusters have followed."""

    careful = False

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.steps = 0

    @initialize()
    def clusters_work(self) -> None:
        for cluster in self.world.clusters[: 1 + self.careful]:
            self.complete(cluster, 0)
            for _ in range(2):
                cluster.start()

    @rule(what=st.sampled_from(ACTS), which=st.integers(0, len(NAMES) - 1), number=st.integers(0, 7))
    def act(self, what: str, which: int, number: int) -> None:
        getattr(self, what)(self.world.clusters[which], number)

    def plan(self, cluster: Cluster, _: int) -> None:
        if not cluster.pending:
            cluster.plan()

    def write(self, cluster: Cluster, _: int) -> None:
        if cluster.pending:
            cluster.pending.pop(0)()

    def complete(self, cluster: Cluster, number: int) -> None:
        self.plan(cluster, number)
        while cluster.pending:
            self.write(cluster, number)
            self.everybody_verifies_everybody()
        while cluster.outdated:
            cluster.roll()
            self.everybody_verifies_everybody()

    def follow(self, cluster: Cluster, number: int) -> None:
        """All that an operator would do of a step."""
        self.complete(cluster, number)
        self.restart_all(cluster, number)

    def crash(self, cluster: Cluster, _: int) -> None:
        cluster.pending.clear()

    def roll(self, cluster: Cluster, _: int) -> None:
        if cluster.outdated:
            cluster.roll()

    def start(self, cluster: Cluster, _: int) -> None:
        if cluster.template and len(cluster.proxies) < 7:
            cluster.start()

    def restart(self, cluster: Cluster, number: int) -> None:
        workloads = [one for one in cluster.proxies if not one.component]
        if workloads:
            cluster.stop(workloads[number % len(workloads)])
            cluster.start()

    def restart_all(self, cluster: Cluster, _: int) -> None:
        for proxy in [one for one in cluster.proxies if not one.component]:
            cluster.stop(proxy)
            cluster.start()

    def renew(self, cluster: Cluster, number: int) -> None:
        if cluster.proxies:
            cluster.renew(cluster.proxies[number % len(cluster.proxies)])

    def refresh(self, cluster: Cluster, _: int) -> None:
        """The kubelet refreshes what is mounted, a little earlier than it must."""
        if cluster.template:
            cluster.take_up()

    def wait(self, _: Cluster, number: int) -> None:
        delay = DELAYS[number % len(DELAYS)]
        for cluster in self.world.clusters:
            # A function ends within minutes, and what it had decided ends with it.
            if self.world.now + delay - cluster.planned > 9 * MINUTE:
                cluster.pending.clear()
        self.world.now += delay
        for cluster in self.world.clusters:
            cluster.settle()

    def step(self, _: Cluster, number: int) -> None:
        store = MemoryStore(self.world.secrets)
        step = store.next_step(self.world.now)
        if self.steps >= 7 or (self.careful and not self.ready(step, store)):
            return
        self.world.secrets.crash = number == 0
        try:
            store.take(step, self.world.now)
            self.steps += 1
        except Crash:
            assert MemoryStore(self.world.secrets).next_step(self.world.now) is step
        finally:
            self.world.secrets.crash = False

    def ready(self, step: RotationStep, store: MemoryStore) -> bool:
        fleet = store.trust(self.world.now)
        standings = []
        for cluster in self.world.clusters:
            if cluster.pending:
                return False
            for proxy in cluster.proxies:
                where = "linkerd" if proxy.component else "app"
                cluster.kube.put(f"/api/v1/namespaces/{where}/pods/{proxy.name}", pod(proxy))
            standings.append(trusting.standing(cluster.kube, "linkerd", fleet, self.world.now))
        return all(rotation.allows(step, one) for one in standings)

    @invariant()
    def everybody_verifies_everybody(self) -> None:
        running = [cluster for cluster in self.world.clusters if cluster.template]
        groups = [cluster.proxies for cluster in running]
        if self.careful:
            groups = [[proxy for group in groups for proxy in group]]
        for group in groups:
            bundles = {proxy.trusts for proxy in group}
            for issuer in {proxy.issuer for proxy in group}:
                assert all(anchor_of(issuer, anchors_of(trusts)) is not None for trusts in bundles)
        for cluster in running:
            # Who starts now gets what is mounted, and a certificate of what identity has loaded.
            bundles = {cluster.mounted, cluster.roots, *(proxy.trusts for proxy in cluster.proxies)}
            for issuer in {cluster.loaded, *(proxy.issuer for proxy in cluster.proxies)}:
                assert all(anchor_of(issuer, anchors_of(trusts)) is not None for trusts in bundles)


class CarefulFleet(Fleet):
    careful = True


@pytest.mark.parametrize("machine", [Fleet, CarefulFleet])
def test_no_proxy_facing_state_is_ever_untrusted(machine: type[Fleet]) -> None:
    play(
        machine,
        settings=settings(
            max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


DAY_AND_MORE = DELAYS.index(30 * HOUR)


@pytest.mark.parametrize("step", [RotationStep.MOVE, RotationStep.FINISH])
def test_a_step_that_the_commands_look_holds_back_would_part_clusters_that_talk_to_each_other(
    step: RotationStep,
) -> None:
    """What each cluster judges by itself isn't enough between two of them; what the command looks at is."""
    fleet = CarefulFleet()
    fleet.clusters_work()
    one, two = fleet.world.clusters
    fleet.step(one, 1)
    fleet.follow(one, 0)
    if step is RotationStep.FINISH:
        fleet.follow(two, 0)
        fleet.step(one, 1)
        fleet.follow(one, 0)
        fleet.wait(one, DAY_AND_MORE)
    store = MemoryStore(fleet.world.secrets)
    assert store.next_step(fleet.world.now) is step
    assert not fleet.ready(step, store)
    fleet.everybody_verifies_everybody()
    store.take(step, fleet.world.now)
    with pytest.raises(AssertionError):
        _go_on(fleet, one)


def _go_on(fleet: Fleet, cluster: Cluster) -> None:
    fleet.follow(cluster, 0)
    fleet.refresh(cluster, 0)
    fleet.renew(cluster, 0)
    fleet.everybody_verifies_everybody()
