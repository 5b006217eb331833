"""What `linkerd check --proxy` adds, and the checks that only some installations meet."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from shared.mesh.linkerd import checks
from shared.mesh.observe import from_objects
from shared.mesh.snapshot import (
    AddressFold,
    Cni,
    Condition,
    Container,
    Deployment,
    MeshedPod,
    MeshSnapshot,
    Pod,
    ProxyFold,
    ProxyVersion,
    ServiceFold,
    Standouts,
    Uncovered,
)
from shared.model import CheckOutcome, CheckReport
from tests.unit.cluster_objects import NOW, State, objects

_EXPECTED = "edge-26.8.3"


def _run(category: str, **changes: Any) -> CheckReport:
    snapshot = msgspec.structs.replace(from_objects(objects()), **changes)
    return checks.run(snapshot, NOW, expected_version=changes.pop("expected", _EXPECTED), categories=[category])


def _errors(report: CheckReport) -> list[tuple[CheckOutcome, str]]:
    return [(result.outcome, result.error) for _, result in report if result.error]


def _stand_out(*names: str, why: str = "why", count: int | None = None) -> Standouts:
    return Standouts(len(names) if count is None else count, tuple(MeshedPod("x", name, why) for name in names))


def test_a_healthy_data_plane() -> None:
    report = checks.run(from_objects(objects()), NOW, expected_version=_EXPECTED, categories=checks.DATA_PLANE)
    shown = [category["categoryName"] for category in checks.render(report)["categories"]]
    assert shown == [
        "gateway-api-crd",
        "linkerd-existence",
        "linkerd-config",
        "linkerd-identity",
        "linkerd-webhooks-and-apisvc-tls",
        "linkerd-identity-data-plane",
        "linkerd-version",
        "linkerd-control-plane-proxy",
        "linkerd-data-plane",
    ]
    assert report.healthy
    assert report.count(CheckOutcome.WARN) == 0


@pytest.mark.parametrize(
    ("proxies", "error"),
    [
        (ProxyFold(), 'no "linkerd-proxy" containers found'),
        (ProxyFold(total=5, failing=_stand_out("a", why='pod "a" status is Pending')), 'pod "a" status is Pending'),
        (
            ProxyFold(total=5, failing=_stand_out("a", "b", why="bad", count=300)),
            "bad; and 299 more: x/b, …",
        ),
    ],
)
def test_proxies_that_are_not_ready_end_the_run(proxies: ProxyFold, error: str) -> None:
    report = _run("linkerd-data-plane", proxies=proxies)
    assert _errors(report) == [(CheckOutcome.FAIL, error)]
    assert len(report.categories[0].checks) == 2


def test_proxies_of_other_versions() -> None:
    versions = (
        ProxyVersion("edge-26.8.3", _stand_out("new", why="edge-26.8.3")),
        ProxyVersion("edge-26.6.3", _stand_out("b", "a", why="edge-26.6.3", count=7)),
    )
    report = _run("linkerd-data-plane", proxies=ProxyFold(total=8, versions=versions))
    assert _errors(report) == [
        (
            CheckOutcome.WARN,
            "some proxies are not running the current version:\n\t* a (edge-26.6.3)\n\t* b (edge-26.6.3)\n\tand 5 more",
        ),
        (
            CheckOutcome.WARN,
            "a running edge-26.6.3 but cli running edge-26.8.3; and 6 more: x/b (edge-26.6.3), …",
        ),
    ]
    unknown = checks.run(
        MeshSnapshot(proxies=ProxyFold(total=8, versions=versions)),
        NOW,
        expected_version=None,
        categories=["linkerd-data-plane"],
    )
    assert unknown.count(CheckOutcome.SKIP) == 3


def test_labels_and_annotations_in_the_wrong_place() -> None:
    report = _run(
        "linkerd-data-plane",
        proxies=ProxyFold(total=1, mislabelled=_stand_out("p", why="linkerd.io/inject")),
        service_metadata=ServiceFold(_stand_out("s", why="a\n\t\tb", count=3), _stand_out("t", why="c")),
    )
    assert [error for _, error in _errors(report)] == [
        "Some labels on data plane pods should be annotations:\n\t* x/p\n\t\tlinkerd.io/inject",
        "Some labels on data plane services should be annotations:\n\t* x/s\n\t\ta\n\t\tb\n\tand 2 more",
        "Some annotations on data plane services should be labels:\n\t* x/t\n\t\tc",
    ]


def test_proxies_with_an_old_trust_bundle() -> None:
    category = "linkerd-identity-data-plane"
    words = "Some pods do not have the current trust bundle and must be restarted:"
    two = _run(category, proxies=ProxyFold(distrusting=_stand_out("a", "b")))
    assert _errors(two) == [(CheckOutcome.WARN, f"{words}\n\t* x/a\n\t* x/b")]
    many = _run(category, proxies=ProxyFold(distrusting=_stand_out("a", count=9)))
    assert _errors(many) == [(CheckOutcome.WARN, f"{words}\n\t* x/a\n\tand 8 more")]
    assert _errors(_run(category, trust_roots=None)) == [
        (CheckOutcome.WARN, 'configmaps "linkerd-identity-trust-roots" not found')
    ]


_WHOLE = {"config": True, "cluster_role": True, "cluster_role_binding": True, "service_account": True}


@pytest.mark.parametrize(
    ("cni", "error"),
    [
        (Cni(), 'configmaps "linkerd-cni-config" not found'),
        (Cni(config=True), "missing ClusterRole: linkerd-cni"),
        (Cni(config=True, cluster_role=True), "missing ClusterRoleBinding: linkerd-cni"),
        (
            Cni(config=True, cluster_role=True, cluster_role_binding=True),
            "missing ServiceAccount: linkerd-cni",
        ),
        (Cni(**_WHOLE), "missing DaemonSet: linkerd-cni"),
        (Cni(**_WHOLE, scheduled=3, ready=2), "number ready: 2, number scheduled: 3"),
        (Cni(**_WHOLE, scheduled=3, ready=3), ""),
    ],
)
def test_the_cni_plugin(cni: Cni, error: str) -> None:
    assert [found for _, found in _errors(_run("linkerd-cni-plugin", cni=cni))] == ([error] if error else [])


def test_high_availability() -> None:
    config = from_objects(objects(State(values={"highAvailability": True}))).config
    three = tuple(
        Deployment(name=f"linkerd-{name}", available=3) for name in ("destination", "identity", "proxy-injector")
    )
    category = "linkerd-ha-checks"
    assert not _errors(_run(category, config=config, deployments=three))
    assert _errors(_run(category, config=config, deployments=three[:1])) == [
        (CheckOutcome.WARN, 'deployments.apps "linkerd-identity" not found')
    ]
    without = _run(category, config=None)
    assert without.count(CheckOutcome.SKIP) == 1
    assert checks.render(without) == {"success": True, "categories": []}


def _pod(name: str, *, ready: bool, phase: str = "Running", labelled: bool = True) -> Pod:
    labels = {"linkerd.io/control-plane-component": "x"} if labelled else {}
    containers = (Container("one", ready=True), Container("two", ready=ready), Container("three", ready=True))
    return Pod(namespace="linkerd", name=name, labels=labels, phase=phase, containers=containers)


def test_one_ready_pod_of_each_component_is_enough() -> None:
    others = [_pod(f"linkerd-{name}-5dc89bd97c-aaaaa", ready=True) for name in ("identity", "proxy-injector")]
    bad, good = _pod("linkerd-destination-5-a", ready=False), _pod("linkerd-destination-5-b", ready=True)

    def ready(*pods: Pod) -> str:
        report = _run("linkerd-existence", mesh_pods=(*pods, *others))
        return next(result.error for _, result in report if result.description == "control plane pods are ready")

    assert ready(bad, good) == ready(good, bad) == ready(good) == ""
    assert ready(bad) == "pod/linkerd-destination-5-a container two is not ready"
    nobody = 'No running pods for "linkerd-destination"'
    assert ready() == ready(_pod("linkerd-destination-b", ready=True)) == nobody
    assert ready(_pod("linkerd-destination-5-b", ready=True, phase="Pending")) == nobody
    assert ready(_pod("linkerd-destination-5-b", ready=True, labelled=False)) == nobody
    assert ready(_pod("destination-linkerd-5-b", ready=True)) == nobody


def test_a_condition_that_is_not_about_scheduling() -> None:
    pod = msgspec.structs.replace(_pod("linkerd-x-5-a", ready=True), conditions=(Condition("Ready", "False", "Other"),))
    report = _run("linkerd-existence", mesh_pods=(pod,))
    assert _errors(report) == [(CheckOutcome.FAIL, 'No running pods for "linkerd-destination"')]


def test_names_the_first_hundred_of_many() -> None:
    first = tuple(Uncovered("x", f"p{number}", "203.0.113.1") for number in range(100))
    report = _run("linkerd-existence", pods=AddressFold(500, 400, 300, first))
    ((outcome, error),) = _errors(report)
    assert outcome is CheckOutcome.FAIL
    assert "do not include pod x/p0 (203.0.113.1); and 299 more: x/p1 (203.0.113.1), " in error
    assert error.endswith("x/p99 (203.0.113.1), …")


def test_a_pod_cidr_that_is_none() -> None:
    report = checks.run(from_objects(objects(State(pod_cidrs=("10.0.0.0/8", "odd")))), NOW, expected_version=_EXPECTED)
    assert (CheckOutcome.FAIL, "invalid CIDR address: odd") in _errors(report)


def test_every_check_has_its_own_name_and_a_hint() -> None:
    rows = [check for category in checks.TABLE for check in category.checks]
    assert len({row.id for row in rows}) == len(rows) == 63
    *theirs, _ours = checks.TABLE
    assert all(row.hint.startswith("https://linkerd.io/2/checks/#") for one in theirs for row in one.checks)
    assert all(row.anchor for row in rows)
    assert {*checks.POST_INSTALL, *checks.DATA_PLANE, *checks.BEYOND} == {category.name for category in checks.TABLE}


def test_gateway_api_made_by_linkerd_may_be_old() -> None:
    state = State(crd_versions={"httproutes.gateway.networking.k8s.io": ("v1beta1",)})
    found = objects(state)
    for one in found:
        if one["metadata"]["name"] == "httproutes.gateway.networking.k8s.io":
            one["metadata"]["annotations"] = {"linkerd.io/created-by": "linkerd/helm"}
    report = checks.run(from_objects(found), NOW, expected_version=_EXPECTED, categories=["gateway-api-crd"])
    assert report.healthy


def test_docker_where_the_init_container_is_root_or_nothing_is_known() -> None:
    root = from_objects(objects(State(runtime="docker://20", values={"proxyInit": {"runAsRoot": True}})))
    unknown = msgspec.structs.replace(root, config=None)
    for snapshot, outcome in ((root, CheckOutcome.PASS), (unknown, CheckOutcome.SKIP)):
        report = checks.run(snapshot, NOW, expected_version=None, categories=["linkerd-config"])
        assert report.categories[0].checks[-1].outcome is outcome
