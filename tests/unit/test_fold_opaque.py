"""Opaque ports of Services and of the pods behind them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from shared.mesh.fold import Folding
from shared.mesh.linkerd import checks
from shared.mesh.observe import from_objects
from shared.mesh.snapshot import SHOWN, OpaqueFold
from shared.model import CheckOutcome
from tests.unit.cluster_objects import NOW, VERSION, objects

Object = dict[str, Any]
_ANNOTATION = "config.linkerd.io/opaque-ports"


def _meta(name: str, opaque: str | None, namespace: str = "shop", **more: Any) -> Object:
    annotations = {} if opaque is None else {_ANNOTATION: opaque}
    return {"name": name, "namespace": namespace, "annotations": annotations, **more}


def _service(name: str, opaque: str | None = None, *ports: Object, **spec: Any) -> Object:
    usual = {"clusterIP": "10.0.0.1", "selector": {"app": name}, "ports": list(ports)}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _meta(name, opaque), "spec": usual | spec}


def _pod(name: str, app: str, opaque: str | None = None, *ports: Object, ready: bool = True) -> Object:
    status = {"conditions": [{"type": "Ready", "status": str(ready)}], "podIP": "10.0.0.9"}
    spec = {"initContainers": [{"name": "init"}], "containers": [{"name": "app", "ports": list(ports)}]}
    metadata = _meta(name, opaque, labels={"app": app})
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


def _endpoints(name: str, *pods: str) -> Object:
    addresses = [{"ip": "10.0.0.9", "targetRef": {"kind": "Pod", "name": pod}} for pod in pods]
    addresses.append({"ip": "10.0.0.8"})
    subsets = [{"addresses": addresses}, {"notReadyAddresses": []}]
    return {"apiVersion": "v1", "kind": "Endpoints", "metadata": _meta(name, None), "subsets": subsets}


def _folded(services: list[Object], pods: list[Object], endpoints: list[Object]) -> OpaqueFold:
    folding = Folding(None, opaque=True)
    for add, items in (
        (folding.add_services, services),
        (folding.add_pods, pods),
        (folding.add_endpoints, endpoints),
    ):
        add(msgspec.json.encode({"items": items}))
    found = folding.opaque_ports()
    assert found is not None
    return found


_80 = {"port": 80, "targetPort": 80}
_NAMED = {"port": 80, "targetPort": "http"}
_HTTP = {"containerPort": 8080, "name": "http"}


@pytest.mark.parametrize(
    ("service", "service_ports", "pod", "pod_ports", "fault"),
    [
        (None, [_80], None, [{"containerPort": 80}], ""),
        ("80", [_80], "80", [{"containerPort": 80}], ""),
        (
            "80",
            [_80],
            None,
            [{"containerPort": 80}],
            f"service s expects target port 80 to be opaque; add it to pod p {_ANNOTATION} annotation",
        ),
        (
            "80",
            [{"port": 80, "targetPort": 8080}],
            None,
            [{"containerPort": 9}],
            f"service s expects target port 8080 to be opaque; add it to pod p {_ANNOTATION} annotation",
        ),
        ("80", [{"port": 80, "targetPort": 8080}], None, [{"containerPort": 9, "name": "odd"}], ""),
        (
            "80",
            [_NAMED],
            "80",
            [_HTTP],
            f"service s expects target port 8080 to be opaque; add it to pod p {_ANNOTATION} annotation",
        ),
        ("80", [_NAMED], "8080", [_HTTP], ""),
        ("99", [_80], None, [{"containerPort": 80}], ""),
        ("eighty", [_80], None, [], "failed to convert eighty to port number for pod p"),
        ("80, 81", [_80], "80", [{"containerPort": 80}], "failed to convert  81 to port number for pod p"),
        ("", [_80], None, [], "failed to convert  to port number for pod p"),
        (None, [_80], "ten", [], "failed to convert ten to port number for pod p"),
        (
            None,
            [{"port": 80}],
            "80",
            [],
            f"service s targets the opaque port 80; add it to its {_ANNOTATION} annotation",
        ),
        (None, [{"port": 81}], "80", [], ""),
        (
            None,
            [{"port": 81, "targetPort": 80}],
            "80",
            [],
            f"service s targets the opaque port 80 through 81; add 81 to its {_ANNOTATION} annotation",
        ),
        ("81", [{"port": 81, "targetPort": 80}], "80", [], ""),
        (
            None,
            [_NAMED],
            "8080",
            [{"containerPort": 1}, {"containerPort": 8080, "name": "other"}, _HTTP],
            f"service s targets the opaque port http through 80; add 80 to its {_ANNOTATION} annotation",
        ),
        (None, [_NAMED], "9090", [_HTTP], ""),
    ],
)
def test_what_a_service_and_its_pod_say(
    service: str | None, service_ports: list[Object], pod: str | None, pod_ports: list[Object], fault: str
) -> None:
    found = _folded(
        [_service("s", service, *service_ports)], [_pod("p", "s", pod, *pod_ports)], [_endpoints("s", "p", "p")]
    )
    assert found == (OpaqueFold("", 1, (fault,)) if fault else OpaqueFold())


def test_headless_services_and_endpoints_of_no_service_count_for_nothing() -> None:
    headless = _service("s", "80", _80, clusterIP="None")
    found = _folded([headless], [_pod("p", "s")], [_endpoints("s", "p"), _endpoints("t", "p")])
    assert found == OpaqueFold()


def test_a_service_without_endpoints_is_all_that_is_said() -> None:
    external = _service("x", None, selector={}, clusterIP="", type="ExternalName")
    found = _folded([_service("s", "80", _80), external], [_pod("p", "s")], [_endpoints("s", "p")])
    assert found.absent == 'endpoints "x" not found'


def test_endpoints_by_hand_that_name_a_pod_that_is_not_there() -> None:
    found = _folded([_service("s", None, selector={})], [_pod("p", "s")], [_endpoints("s", "p", "gone")])
    assert found.absent == 'pod "gone" not found'


def test_recorded_states_without_endpoints_are_judged_by_selectors() -> None:
    services = [
        _service("s", "80", _80),
        _service("kubernetes", None, selector={}),
        _service("other", None, _80),
    ]
    services[1]["metadata"]["namespace"] = "default"
    ports = {"containerPort": 80}
    pods = [_pod("p", "s", None, ports), _pod("q", "s", None, ports, ready=False), _pod("r", "z", None, ports)]
    found = _folded(services, pods, [])
    assert (found.absent, found.count) == ("", 1)
    external = _service("x", None, selector={}, clusterIP="", type="ExternalName")
    assert _folded([*services, external], pods, []).absent == 'endpoints "x" not found'


def test_names_the_first_hundred() -> None:
    pods = [_pod(f"p{number:03}", "s", None, {"containerPort": 80}) for number in range(SHOWN + 7)]
    names = [pod["metadata"]["name"] for pod in pods]
    found = _folded([_service("s", "80", _80)], pods, [_endpoints("s", *names)])
    assert (found.count, len(found.first)) == (SHOWN + 7, SHOWN)


def test_nothing_is_folded_where_nobody_asked() -> None:
    folding = Folding(None)
    folding.add_endpoints(msgspec.json.encode({"items": [_endpoints("s")]}))
    assert folding.opaque_ports() is None


@pytest.mark.parametrize(
    ("found", "outcome", "error"),
    [
        (None, CheckOutcome.SKIP, "Services and the pods behind them weren't compared"),
        (OpaqueFold(), CheckOutcome.PASS, ""),
        (OpaqueFold(absent='endpoints "x" not found', count=1, first=("a",)), CheckOutcome.WARN, "endpoints"),
        (OpaqueFold(count=2, first=("a", "b")), CheckOutcome.WARN, "\t* a\n    \t* b"),
        (OpaqueFold(count=5, first=("a", "b")), CheckOutcome.WARN, "\t* a\n    \t* b\n\tand 3 more"),
    ],
)
def test_opaque_ports_are_properly_annotated(found: OpaqueFold | None, outcome: CheckOutcome, error: str) -> None:
    snapshot = msgspec.structs.replace(from_objects(objects()), opaque_ports=found)
    report = checks.run(snapshot, NOW, expected_version=VERSION, categories=["linkerd-data-plane"])
    result = report.categories[0].checks[-1]
    assert (result.description, result.outcome) == ("opaque ports are properly annotated", outcome)
    assert result.error == error or (error == "endpoints" and result.error == 'endpoints "x" not found')
