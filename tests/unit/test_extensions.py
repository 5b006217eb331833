"""Extensions of a mesh: installed, kept, removed or left alone as their option says; things of others stay."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.config import Settings
from shared.errors import Permanent
from shared.mesh import apply, extensions, lease
from shared.mesh.charts import chart_without, read_chart
from shared.mesh.contents import foreign_objects
from shared.mesh.drift import ObjectName
from shared.mesh.engine import Mesh
from shared.mesh.extensions import ExtensionState
from shared.mesh.ownership import LEFT_OUT, MANAGED_BY
from shared.mesh.plan import Kind, Plan, RemoveNamespace, RemoveRelease, RunHelm, WriteNamespace, WriteSecret
from shared.mesh.profile import ExtensionProfile, NamespaceProfile, OptionalPart, load_profile
from shared.model import MeshSettings
from tests.unit.doors import CHARTS, MemoryHelm, MemoryStore, autopilot, clock
from tests.unit.memory_kube import MemoryKube, denial, refusal

VIZ = ExtensionProfile(
    name="linkerd-viz",
    chart="linkerd-viz",
    version="2026.6.3",
    option="viz",
    namespace=NamespaceProfile("linkerd-viz", {"linkerd.io/extension": "viz"}, {"linkerd.io/inject": "enabled"}),
    deployments=("metrics-api", "web"),
)
PROFILE = msgspec.structs.replace(load_profile("linkerd"), extensions=(VIZ,))
NAMESPACE = "/api/v1/namespaces/linkerd-viz"
STEPS = [WriteNamespace, WriteSecret, WriteSecret, RunHelm]
ON, OFF, UNSAID = MeshSettings(viz=True), MeshSettings(viz=False), MeshSettings()


class World:
    """One cluster that has the mesh, and charts that hold viz."""

    def __init__(self, charts: Path) -> None:
        shutil.copytree(CHARTS, charts, dirs_exist_ok=True, ignore=shutil.ignore_patterns("linkerd-viz"))
        (charts / "linkerd-viz").mkdir(exist_ok=True)
        (charts / "linkerd-viz" / "Chart.yaml").write_text("name: linkerd-viz\nversion: 2026.6.3\n")
        self.charts = charts
        self.kube = MemoryKube({"/api/v1/namespaces/kube-system": {}})
        self.helm = MemoryHelm(self.kube)
        self.store = MemoryStore()
        self.extension = VIZ
        self.run(UNSAID)
        for name in PROFILE.deployments:
            self.deploy(f"/apis/apps/v1/namespaces/linkerd/deployments/{name}")

    def mesh(self, wish: MeshSettings) -> Mesh:
        profile = msgspec.structs.replace(PROFILE, extensions=(self.extension,))
        settings = Settings(charts=str(self.charts))
        return Mesh(profile, autopilot(), self.kube, self.helm, settings, self.store, clock, wish)

    def deploy(self, path: str, ready: int = 1) -> None:
        """Somebody makes a Deployment of one pod."""
        counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), 1)
        labels = {"component": path.rpartition("/")[2]}
        spec = {"replicas": 1, "selector": {"matchLabels": labels}}
        self.kube.put(path, {"kind": "Deployment", "spec": spec, "status": {**counts, "readyReplicas": ready}})

    def pod(self, name: str, component: str, *containers: str, **metadata: Any) -> None:
        """Somebody makes a pod in viz's namespace."""
        spec = {"containers": [{"name": "main"}], "initContainers": [{"name": one} for one in containers]}
        found = {"labels": {"component": component, "other": "label"}, **metadata}
        self.kube.put(f"{NAMESPACE}/pods/{name}", {"metadata": found, "spec": spec})

    def states(self) -> tuple[ExtensionState, ...]:
        """What is there of the extensions."""
        return extensions.look(self.kube, msgspec.structs.replace(PROFILE, extensions=(self.extension,)))

    def plan(self, wish: MeshSettings) -> Plan:
        return self.mesh(wish).plan()

    def run(self, wish: MeshSettings) -> Plan:
        """Plan and carry out; only what the last run did is remembered."""
        self.helm.runs.clear()
        self.helm.removed.clear()
        mesh = self.mesh(wish)
        plan = mesh.plan()
        taken = lease.take(self.kube, "test", 600, clock)
        assert isinstance(taken, lease.Lease)
        with taken:
            apply.carry_out(plan, self.kube, self.helm, mesh.desired.ours, taken)
        self.kube.writes.clear()
        return plan


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def labels(world: World) -> dict[str, str]:
    found: dict[str, str] = world.kube.objects[NAMESPACE]["metadata"]["labels"]
    return found


def test_an_extension_is_installed_where_its_option_is_on(world: World) -> None:
    plan = world.run(ON)
    assert plan.kind is Kind.INSTALL
    assert world.helm.runs == [("linkerd-viz", False)]
    assert plan.reason == (
        "namespace linkerd-viz lacks labels; Secret linkerd-viz/tap-k8s-tls is missing or due; "
        "Secret linkerd-viz/tap-injector-k8s-tls is missing or due; release linkerd-viz: not installed"
    )
    assert labels(world) == {"linkerd.io/extension": "viz", **MANAGED_BY}
    assert world.kube.objects[NAMESPACE]["metadata"]["annotations"] == {"linkerd.io/inject": "enabled"}
    mesh = world.mesh(ON)
    assert mesh.plan().kind is Kind.NOTHING
    assert [release.name for release in mesh.releases] == ["linkerd-crds", "linkerd-control-plane", "linkerd-viz"]


def test_the_mesh_comes_first_and_must_be_ready(world: World) -> None:
    mesh = f"/apis/apps/v1/namespaces/linkerd/deployments/{PROFILE.deployments[0]}"
    world.deploy(mesh, ready=0)
    assert world.plan(ON) == Plan(kind=Kind.NOTHING, reason="everything is as it should be", waiting=("linkerd-viz",))
    world.kube.objects.clear()
    plan = world.run(ON)
    assert (plan.kind, plan.waiting) == (Kind.INSTALL, ("linkerd-viz",))
    assert [run for run, _ in world.helm.runs] == ["linkerd-crds", "linkerd-control-plane"]


def test_what_waits_is_not_among_the_releases_that_are_there(world: World) -> None:
    world.deploy(f"/apis/apps/v1/namespaces/linkerd/deployments/{PROFILE.deployments[0]}", ready=0)
    mesh = world.mesh(ON)
    mesh.plan()
    assert [release.name for release in mesh.releases] == ["linkerd-crds", "linkerd-control-plane"]


def test_a_removal_waits_for_nothing(world: World) -> None:
    world.run(ON)
    world.deploy(f"/apis/apps/v1/namespaces/linkerd/deployments/{PROFILE.deployments[0]}", ready=0)
    assert world.plan(UNSAID).kind is Kind.NOTHING
    assert world.plan(OFF).kind is Kind.REMOVE


def test_nothing_said_installs_nothing_and_needs_no_chart(world: World) -> None:
    shutil.rmtree(world.charts / "linkerd-viz")
    assert world.plan(UNSAID) == Plan(kind=Kind.NOTHING, reason="everything is as it should be")


def test_an_extension_without_an_option_belongs_to_the_mesh(world: World) -> None:
    world.extension = msgspec.structs.replace(VIZ, option="")
    plan = world.plan(UNSAID)
    assert [type(step) for step in plan.steps] == STEPS


def test_nothing_said_keeps_what_is_there_at_the_charts_version(world: World) -> None:
    world.run(ON)
    assert world.plan(UNSAID).kind is Kind.NOTHING
    (world.charts / "linkerd-viz" / "Chart.yaml").write_text("name: linkerd-viz\nversion: 2026.7.1\n")
    plan = world.run(UNSAID)
    assert plan.reason == "release linkerd-viz: chart linkerd-viz 2026.6.3 is installed, 2026.7.1 is wished"
    assert world.helm.runs == [("linkerd-viz", False)]


def test_a_lost_annotation_is_written_again(world: World) -> None:
    world.run(ON)
    del world.kube.objects[NAMESPACE]["metadata"]["annotations"]
    plan = world.plan(UNSAID)
    assert plan.kind is Kind.REPAIR
    assert [type(step) for step in plan.steps] == [WriteNamespace]


def test_off_removes_what_was_installed_and_then_nothing_more(world: World) -> None:
    world.run(ON)
    plan = world.run(OFF)
    assert plan.kind is Kind.REMOVE
    assert plan.steps == (RemoveRelease("linkerd-viz", "linkerd-viz"), RemoveNamespace("linkerd-viz", "linkerd-viz"))
    assert plan.reason == "release linkerd-viz isn't wished; namespace linkerd-viz isn't needed"
    assert world.helm.removed == [("linkerd-viz", "linkerd-viz")]
    assert NAMESPACE not in world.kube.objects
    assert world.plan(OFF).kind is Kind.NOTHING
    assert world.plan(UNSAID).kind is Kind.NOTHING


def test_a_removal_that_was_cut_off_is_ended_by_the_next(world: World) -> None:
    world.run(ON)
    world.helm.uninstall("linkerd-viz", namespace="linkerd-viz")
    plan = world.run(OFF)
    assert plan.steps == (RemoveNamespace("linkerd-viz", "linkerd-viz"),)
    assert NAMESPACE not in world.kube.objects


def test_things_of_others_keep_the_namespace(world: World) -> None:
    world.run(ON)
    world.kube.put(f"{NAMESPACE}/configmaps/mine", {"apiVersion": "v1", "kind": "ConfigMap"})
    words = ("the namespace linkerd-viz is kept, for it holds 1 objects of others: ConfigMap linkerd-viz/mine",)
    plan = world.run(OFF)
    assert (plan.kind, plan.steps) == (Kind.REMOVE, (RemoveRelease("linkerd-viz", "linkerd-viz"),))
    assert plan.notes == words
    again = world.plan(OFF)
    assert (again.kind, again.notes) == (Kind.NOTHING, words)


def test_what_came_between_plan_and_act_keeps_the_namespace_too(world: World) -> None:
    world.run(ON)
    mesh = world.mesh(OFF)
    plan = mesh.plan()
    world.kube.put(f"{NAMESPACE}/services/late", {"apiVersion": "v1", "kind": "Service"})
    taken = lease.take(world.kube, "test", 600, clock)
    assert isinstance(taken, lease.Lease)
    with taken:
        apply.carry_out(plan, world.kube, world.helm, (), taken)
    assert NAMESPACE in world.kube.objects


TAP = OptionalPart(
    "tap",
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "tap-auth-reader", "namespace": "kube-system"},
    },
    ("templates/tap*.yaml",),
    ("tap",),
)
PROBE = ("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/rolebindings")
WARDEN = (
    'rolebindings.rbac.authorization.k8s.io is forbidden: User "install@x.iam.gserviceaccount.com" cannot create '
    'resource "rolebindings" in API group "rbac.authorization.k8s.io" in the namespace "kube-system": GKE Warden authz '
    '[denied by managed-namespaces-limitation]: the namespace "kube-system" is managed and the request\'s verb '
    '"create" is denied'
)


@pytest.fixture
def tapped(world: World) -> World:
    """Charts whose viz has tap."""
    world.extension = msgspec.structs.replace(VIZ, optional_part=TAP)
    templates = world.charts / "linkerd-viz" / "templates"
    templates.mkdir()
    for name in ("tap.yaml", "tap-rbac.yaml", "web.yaml"):
        (templates / name).write_text("{}\n")
    return world


def rendered(world: World) -> set[str]:
    """The templates of the chart that the last plan would install."""
    mesh = world.mesh(ON)
    mesh.plan()
    return {file.name for file in (mesh.releases[-1].chart.path / "templates").iterdir()}


def test_a_part_that_the_cluster_takes_is_installed(tapped: World) -> None:
    assert tapped.run(ON).notes == ()
    assert rendered(tapped) == {"tap.yaml", "tap-rbac.yaml", "web.yaml"}
    assert tapped.kube.objects[NAMESPACE]["metadata"]["annotations"][LEFT_OUT] == ""
    assert PROBE[1] not in tapped.kube.objects
    tapped.kube.answers[PROBE] = refusal(409, "AlreadyExists", "rolebindings already exists")
    assert tapped.plan(ON).kind is Kind.NOTHING


def test_a_part_that_the_cluster_refuses_is_left_out_and_said(tapped: World) -> None:
    tapped.kube.answers[PROBE] = denial(WARDEN)
    plan = tapped.run(ON)
    assert plan.kind is Kind.INSTALL
    (note,) = plan.notes
    assert note.startswith("linkerd-viz is without tap, which this cluster refuses: rolebindings.rbac")
    assert rendered(tapped) == {"web.yaml"}
    assert tapped.kube.objects[NAMESPACE]["metadata"]["annotations"][LEFT_OUT] == "tap"
    again = tapped.plan(UNSAID)
    assert (again.kind, again.notes) == (Kind.NOTHING, (note,))


def test_a_part_comes_once_the_cluster_takes_it(tapped: World) -> None:
    tapped.kube.answers[PROBE] = denial(WARDEN)
    tapped.run(ON)
    del tapped.kube.answers[PROBE]
    plan = tapped.run(ON)
    assert plan.reason == "namespace linkerd-viz lacks labels; release linkerd-viz: values differ: byomesh"
    assert tapped.plan(ON).kind is Kind.NOTHING


def test_a_part_that_is_in_no_chart_cannot_be_left_out(world: World) -> None:
    world.extension = msgspec.structs.replace(VIZ, optional_part=TAP)
    world.kube.answers[PROBE] = denial(WARDEN)
    with pytest.raises(Permanent, match="has no templates/tap"):
        world.plan(ON)


def test_an_archive_is_unpacked_to_leave_a_part_out(tapped: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tapped.charts))
    archive = shutil.make_archive(str(tapped.charts / "linkerd-viz-2026.6.3"), "gztar", tapped.charts, "linkerd-viz")
    chart = read_chart(Path(archive))
    less = chart_without(chart, "tap", TAP.templates)
    assert [file.name for file in (less.path / "templates").iterdir()] == ["web.yaml"]
    assert msgspec.structs.replace(less, path=chart.path) == chart
    assert chart_without(chart, "tap", TAP.templates) == less


def by_others(world: World) -> None:
    world.kube.put(NAMESPACE, {"metadata": {"labels": {"linkerd.io/extension": "viz"}}})
    deployment = {"kind": "Deployment", "metadata": {"managedFields": [{"manager": "kubectl-client-side-apply"}]}}
    world.kube.put(VIZ.marker, deployment)


@pytest.mark.parametrize("wish", [ON, OFF])
def test_an_extension_of_others_is_left_alone_and_said(world: World, wish: MeshSettings) -> None:
    by_others(world)
    plan = world.plan(wish)
    assert (plan.kind, plan.steps) == (Kind.NOTHING, ())
    assert plan.notes == ("linkerd-viz is left alone: byomesh didn't install it (of kubectl-client-side-apply)",)
    assert world.plan(UNSAID).notes == ()


def test_an_extension_of_others_is_taken_over_where_that_is_allowed(world: World) -> None:
    by_others(world)
    plan = world.plan(msgspec.structs.replace(ON, adopt=True))
    assert [type(step) for step in plan.steps] == STEPS


def test_a_namespace_of_others_without_the_extension_is_no_removal(world: World) -> None:
    world.kube.put(NAMESPACE, {"metadata": {"labels": {}}})
    assert world.plan(OFF).kind is Kind.NOTHING


ACCOUNTED: dict[str, dict[str, Any]] = {
    "configmaps/kube-root-ca.crt": {},
    "serviceaccounts/default": {},
    "pods/web-1": {"metadata": {"ownerReferences": [{"kind": "ReplicaSet"}]}},
    "secrets/tap-k8s-tls": {"metadata": {"labels": dict(MANAGED_BY)}},
    "services/web": {"metadata": {"annotations": {"meta.helm.sh/release-name": "linkerd-viz"}}},
    "secrets/sh.helm.release.v1.linkerd-viz.v1": {
        "type": "helm.sh/release.v1",
        "metadata": {"labels": {"name": "linkerd-viz"}},
    },
}
OTHERS: dict[str, dict[str, Any]] = {
    "serviceaccounts/kube-root-ca.crt": {},
    "pods/debug": {},
    "services/other": {"metadata": {"annotations": {"meta.helm.sh/release-name": "other"}}},
    "secrets/sh.helm.release.v1.other.v1": {"type": "helm.sh/release.v1", "metadata": {"labels": {"name": "other"}}},
}


def test_what_is_of_others_in_a_namespace() -> None:
    kube = MemoryKube({f"{NAMESPACE}/{path}": obj for path, obj in {**ACCOUNTED, **OTHERS}.items()})
    assert set(foreign_objects(kube, "linkerd-viz", "linkerd-viz")) == {
        ObjectName("ServiceAccount", "linkerd-viz", "kube-root-ca.crt"),
        ObjectName("Pod", "linkerd-viz", "debug"),
        ObjectName("Service", "linkerd-viz", "other"),
        ObjectName("Secret", "linkerd-viz", "sh.helm.release.v1.other.v1"),
    }


def test_nothing_is_told_of_an_extension_that_is_not_ours_or_on_its_way_out(world: World) -> None:
    assert world.states() == ()
    by_others(world)
    assert world.states() == ()
    world.kube.put(NAMESPACE, {"metadata": {"labels": dict(MANAGED_BY), "deletionTimestamp": "2026-05-04T09:00:00Z"}})
    assert world.states() == ()


def test_an_extension_is_ready_and_meshed_by_its_own_pods(world: World) -> None:
    world.run(ON)
    (state,) = world.states()
    assert (state.words, extensions.waits_for([state])) == (
        "0 of 2 deployments ready, 0 meshed",
        "linkerd-viz's Deployment metrics-api, which isn't there",
    )
    world.deploy(VIZ.marker)
    world.deploy(VIZ.marker.replace("metrics-api", "web"))
    world.pod("metrics-api-1", "metrics-api", "linkerd-init", "linkerd-proxy")
    world.pod("metrics-api-0", "metrics-api", deletionTimestamp="2026-05-04T09:00:00Z")
    world.pod("web-1", "web", "linkerd-init")
    (state,) = world.states()
    assert (state.words, extensions.waits_for([state])) == ("2 of 2 deployments ready, 1 meshed", "")
    world.pod("metrics-api-2", "metrics-api")
    (state,) = world.states()
    assert state.words == (
        "2 of 2 deployments ready, 0 meshed; no injector has answered, so all that is verified of the mesh is the "
        "annotation"
    )


def test_what_is_not_wished_is_not_waited_for_though_its_namespace_is_kept(world: World) -> None:
    world.run(ON)
    assert len(extensions.look(world.kube, PROFILE, {"viz": True})) == 1
    assert extensions.look(world.kube, PROFILE, {"viz": False}) == ()


def test_a_part_that_was_left_out_is_not_waited_for(tapped: World) -> None:
    tapped.extension = msgspec.structs.replace(tapped.extension, deployments=("metrics-api", "tap", "web"))
    tapped.kube.answers[PROBE] = denial(WARDEN)
    tapped.run(ON)
    for name in ("metrics-api", "web"):
        tapped.deploy(VIZ.marker.replace("metrics-api", name))
        tapped.pod(f"{name}-1", name, "linkerd-proxy")
    (state,) = tapped.states()
    assert state.words == "2 of 2 deployments ready, 2 meshed; without tap, which the cluster refuses"
