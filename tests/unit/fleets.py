"""Fleets as they might be: clusters of several teams, most of them Ready, and each kind of trouble among them."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable

import msgspec

from byomesh.fleet.model import Fleet, Unseen
from byomesh.fleet.rows import Sources, assemble
from byomesh.fleet.told import Change, Said
from shared.cluster import Cluster, ControlPlaneAccess
from shared.model import (
    CheckSummary,
    ClusterRef,
    FailingCheck,
    MeshStatus,
    OutdatedWorkloads,
    Phase,
    Remedy,
    Repair,
)
from shared.policy import BUILT_IN

NOW = dt.datetime(2026, 11, 24, 14, 30, tzinfo=dt.UTC)
SINCE = NOW - dt.timedelta(days=30)
VERSION, OLDER = "edge-26.6.3", "edge-26.5.1"
LONG = "a-cluster-with-a-very-long-name-x40-char"
"""Forty characters, the most that GKE takes."""

_PROJECTS = (
    "shop-prod",
    "shop-staging",
    "payments-prod-eu",
    "payments-prod-us",
    "data-platform",
    "ml-training",
    "edge",
)
_LOCATIONS = ("europe-west1", "europe-west4", "us-central1", "us-east1-b", "asia-northeast1")
_TEAMS = ("checkout", "catalog", "ledger", "risk", "ingest", "features", "gateway", "search", "billing", "identity")
_SERVICES = "cluster networks contains all services"
_NETWORKS = FailingCheck(
    "linkerd-config",
    _SERVICES,
    "the Linkerd clusterNetworks [10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fd00::/8] do not include svc "
    "default/kubernetes (34.118.224.1)",
)
_MINUTE = dt.timedelta(minutes=1)

Story = Callable[["Teller"], None]


class Teller:
    """Tells one cluster's statuses, oldest first."""

    def __init__(self, ref: ClusterRef, began: dt.datetime, chance: random.Random, version: str = VERSION) -> None:
        self.said: list[Said] = []
        self.changes: list[Change] = []
        self.ref, self._at, self._chance, self._version = ref, began, chance, version
        self._request = f"operation-{int(began.timestamp() * 1000)}-{chance.getrandbits(32):08x}"

    def after(self, low: float, high: float) -> Teller:
        """Let some seconds pass."""
        self._at += dt.timedelta(seconds=round(self._chance.uniform(low, high), 3))
        return self

    def request(self, name: str) -> Teller:
        """What follows answers another request."""
        self._request = name
        return self

    def say(self, stage: str, phase: Phase, reason: str, message: str, **fields: object) -> Teller:
        """Say a status now."""
        status = MeshStatus(
            cluster=self.ref,
            mesh="linkerd",
            version="" if stage == "enable" else self._version,
            request_id=self._request,
            phase=phase,
            reason=reason,
            message=message,
            net_admin=stage != "enable",
            time=self._at,
        )
        self.said.append(Said(status=msgspec.structs.replace(status, **fields), time=self._at, stage=stage))
        return self

    def done(self, method: str, principal: str, client: str) -> Teller:
        """Somebody changes the cluster now."""
        self.changes.append(
            Change(cluster=self.ref, time=self._at, method=method, principal=principal, client=client, operation="o")
        )
        return self

    def enabled(self) -> Teller:
        """From the creation to allow-net-admin being turned on."""
        self.done(
            "CreateCluster", "terraform@ci-prod.iam.gserviceaccount.com", "Terraform/1.9.5 (+https://terraform.io)"
        )
        self.after(200, 420).say(
            "enable",
            Phase.ENABLING,
            "AllowingNetAdmin",
            "allow-net-admin is being turned on (operation-1764-ab12); linkerd is queued: the policy wants it",
            timings={"decide": 0.4},
        )
        return self.done("UpdateCluster", "enable-net-admin@mesh-automation.iam.gserviceaccount.com", "byomesh/0.1")

    def waiting(self) -> Teller:
        """The installation waits for GKE's operation."""
        return self.after(2, 6).say(
            "install",
            Phase.PENDING,
            "OperationRunning",
            "linkerd waits for operation projects/p/locations/l/operations/operation-1764-ab12",
            waits_for="operation operation-1764-ab12, which turns on allow-net-admin",
        )

    def installed(self) -> Teller:
        """The charts are applied."""
        return self.after(30, 90).say(
            "install",
            Phase.VERIFYING,
            "Verifying",
            "install: linkerd isn't there yet",
            timings={"plan": 1.2, "apply": self._chance.uniform(6, 14)},
        )

    def pods(self) -> Teller:
        """The checks wait for pods."""
        return self.after(10, 15).say(
            "verify",
            Phase.VERIFYING,
            "PodsNotReady",
            "linkerd waits for linkerd/linkerd-destination to be ready (0 of 1 replicas: Unschedulable)",
            waits_for="linkerd/linkerd-destination to be ready (0 of 1 replicas: Unschedulable)",
        )

    def ready(self, **fields: object) -> Teller:
        """Every check passes."""
        return self.after(20, 140).say(
            "verify",
            Phase.READY,
            "ChecksPassed",
            f"linkerd {self._version} works: 47 checks passed, 2 warned",
            **{"checks": CheckSummary(47, 2, 0, 1), "timings": {"readiness": 0.2, "checks": 1.6}, **fields},
        )


def _fresh(tell: Teller) -> None:
    tell.enabled().waiting().installed().pods().ready()


def _mended(tell: Teller) -> None:
    tell.enabled().waiting().installed().pods().after(5, 9).say(
        "verify",
        Phase.DEGRADED,
        "ChecksFailed",
        f"1 of the checks failed, the first: {_SERVICES}: {_NETWORKS.error}; a repair is queued",
        checks=CheckSummary(46, 2, 1, 1, (_NETWORKS,)),
        remedies=(Remedy(_SERVICES, (Repair.CLUSTER_NETWORKS,)),),
    )
    tell.ready(repaired=("clusterNetworks",))


def _upgraded(tell: Teller) -> None:
    _mended(tell)
    tell.after(86_400, 400_000).done("UpdateCluster", "anna.schmidt@example.com", "google-cloud-sdk gcloud/550.0.0")
    tell.request(f"sweep-{tell._chance.getrandbits(24):06x}").after(20, 60)
    tell.say("enforce", Phase.PENDING, "Queued", "linkerd is queued: the sweep found edge-26.5.1").installed().ready()


def _enabling(tell: Teller) -> None:
    tell.enabled().waiting()


def _verifying(tell: Teller) -> None:
    tell.enabled().waiting().installed().pods()


def _degraded(tell: Teller) -> None:
    tell.enabled().waiting().installed().pods().after(9, 20).say(
        "verify",
        Phase.DEGRADED,
        "CannotRepair",
        f"2 of the checks failed, the first: {_SERVICES}: {_NETWORKS.error}; no repair of byomesh's mends that",
        checks=CheckSummary(44, 3, 2, 1, (_NETWORKS, _PROXIES)),
        remedies=(
            Remedy(_SERVICES, (), "the range 34.118.224.0/20 isn't GKE's: name it in the policy's clusterNetworks"),
            Remedy(_PROXIES.description, (Repair.RESTART_WORKLOADS,), ""),
            Remedy("control plane is up-to-date", (), "ask for edge-26.6.3 by version"),
        ),
        outdated=OutdatedWorkloads(14, ("Deployment shop/cart", "Deployment shop/checkout")),
    )


_PROXIES = FailingCheck(
    "linkerd-control-plane-proxy",
    "data plane proxies are up-to-date",
    "some proxies are not running edge-26.6.3: cart-7c9",
)


def _stuck(tell: Teller) -> None:
    tell.enabled().waiting().installed().pods().after(1_800, 1_900).say(
        "verify",
        Phase.STUCK,
        "PodsNotReady",
        "waited 1812 s for linkerd/linkerd-destination to be ready, longer than the 1800 s allowed",
        waits_for="linkerd/linkerd-destination to be ready (0 of 1 replicas: quota CPUS exceeded in europe-west4)",
    )


def _refused(tell: Teller) -> None:
    tell.done("CreateCluster", "ops@example.com", "google-cloud-sdk gcloud/550.0.0").after(250, 400).say(
        "enable",
        Phase.REFUSED,
        "OrgPolicyDenied",
        f"OrgPolicyDenied on {tell.ref}: Operation denied by custom org policies: "
        '["customConstraints/custom.denyAllowNetAdmin": "NET_ADMIN must stay disabled on Autopilot clusters."] '
        "Tried: UpdateCluster, to turn on allow-net-admin. "
        "Next: ask whoever owns customConstraints/custom.denyAllowNetAdmin to exempt the project, or label the cluster "
        "byomesh=off",
    )


def _failed(tell: Teller) -> None:
    _degraded(tell)
    for attempt in range(1, 4):
        tell.after(40, 80).say(
            "install", Phase.VERIFYING, "Verifying", f"repair: attempt {attempt}", timings={"apply": 5}
        )
    tell.after(9, 20).say(
        "verify",
        Phase.FAILED,
        "RepairsDidNotHelp",
        f"1 of the checks failed, the first: {_SERVICES}: {_NETWORKS.error}; 3 repairs didn't help: mend it by "
        "hand, then publish the request again",
        checks=CheckSummary(46, 2, 1, 1, (_NETWORKS,)),
        remedies=(Remedy(_SERVICES, (Repair.CLUSTER_NETWORKS,), "see who writes the ConfigMap linkerd-config"),),
    )


def _fought(tell: Teller) -> None:
    _mended(tell)
    for _ in range(3):
        tell.after(7_000, 9_000).done("UpdateCluster", "anna.schmidt@example.com", "Terraform/1.9.5")
    words = (
        "allow-net-admin is off, and the policy requires it, since anna.schmidt@example.com (Terraform/1.9.5) set it so"
    )
    gcloud = f"gcloud container clusters update {tell.ref.name} --workload-policies=allow-net-admin"
    tell.request(f"operation-{tell.ref.name}").after(20, 60).say(
        "enforce",
        Phase.REFUSED,
        "Conflict",
        f"{words}; it was undone 3 times within a day, so nothing is changed",
        findings=("NetAdminRequiredButOff",),
        actor="anna.schmidt@example.com (Terraform/1.9.5)",
        advice=(gcloud, f'resource "google_container_cluster" "{tell.ref.name}" {{\n  allow_net_admin = true\n}}'),
    )


def _silent(_: Teller) -> None:
    """Nothing was ever said."""


_STORIES: tuple[tuple[Story, int], ...] = (
    (_fresh, 42),
    (_mended, 30),
    (_upgraded, 12),
    (_enabling, 2),
    (_verifying, 2),
    (_degraded, 3),
    (_stuck, 2),
    (_refused, 3),
    (_failed, 1),
    (_fought, 1),
    (_silent, 3),
)


def sources(count: int, seed: int = 7) -> Sources:
    """What was read of a fleet of `count` clusters; the same for the same numbers."""
    chance = random.Random(seed)  # noqa: S311 - a fixture
    stories: list[Story] = [story for story, _ in _STORIES]
    if count >= 2 * len(_STORIES):
        told: list[Story] = [
            *stories,
            *chance.choices(stories, [weight for _, weight in _STORIES], k=count - len(stories)),
        ]
    else:
        few: list[Story] = [_mended, _verifying, _degraded]
        told = (few * count)[:count]
    seen: list[Cluster] = []
    said: dict[ClusterRef, tuple[Said, ...]] = {}
    changes: dict[ClusterRef, tuple[Change, ...]] = {}
    for number, story in enumerate(told):
        name = LONG if number == len(stories) else f"{chance.choice(_TEAMS)}-{number + 1}"
        ref = ClusterRef(chance.choice(_PROJECTS), chance.choice(_LOCATIONS), name)
        recent = story in {_enabling, _verifying}
        age = dt.timedelta(seconds=620) if recent else dt.timedelta(hours=chance.uniform(140, 600))
        teller = Teller(ref, NOW - age, chance, OLDER if story is _fresh and chance.random() < 0.3 else VERSION)
        story(teller)
        off = story is _silent and number % 2 == 0
        if not (story is _fresh and number % 37 == 36):
            seen.append(cluster(ref, off=off, allowed=bool(teller.said), created=NOW - age))
        if teller.said:
            said[ref], changes[ref] = tuple(teller.said), tuple(teller.changes)
    unseen = (
        Unseen(
            "legacy-batch", "", "IamNotReady: 403 container.clusters.list is denied. Next: grant roles/container.viewer"
        ),
    )
    return Sources(seen=tuple(seen), said=said, changes=changes, unseen=unseen if count >= 2 * len(_STORIES) else ())


def cluster(
    ref: ClusterRef,
    *,
    off: bool = False,
    allowed: bool = True,
    status: str = "RUNNING",
    created: dt.datetime | None = None,
) -> Cluster:
    """An Autopilot cluster as GKE lists it."""
    return Cluster(
        ref=ref,
        status=status,
        autopilot=True,
        allow_net_admin=allowed,
        labels={"team": ref.name.partition("-")[0], **({"byomesh": "off"} if off else {})},
        version="1.36.3-gke.1",
        release_channel="REGULAR",
        access=ControlPlaneAccess(endpoint="127.0.0.1:1"),
        created=created,
    )


def fleet(count: int, seed: int = 7) -> Fleet:
    """A fleet of `count` clusters."""
    read = sources(count, seed)
    projects = {one.ref.project for one in read.seen} | {one.project for one in read.unseen}
    return assemble(read, BUILT_IN, projects=projects, since=SINCE, now=NOW)
