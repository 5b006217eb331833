"""viz's checks: each row passing, failing, warning and skipping, and what of a cluster they are judged from."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any

import msgspec
import pytest

from shared.mesh.linkerd import checks
from shared.mesh.linkerd.checks.viz import CATEGORY
from shared.mesh.observe import from_objects
from shared.mesh.ownership import LEFT_OUT, MANAGED_BY
from shared.mesh.snapshot import MeshSnapshot, Pod, Viz
from shared.mesh.snapshot.viz import VizPod
from shared.model import CheckOutcome, CheckReport
from tests.unit.cluster_objects import NOW, VERSION, certify

TAP = certify("tap.linkerd-viz.svc", serial=1, ca=False, sans=("tap.linkerd-viz.svc",))
OLD = certify("tap.linkerd-viz.svc", serial=2, ca=False, sans=("tap.linkerd-viz.svc",), days=(-1, 30))
OTHER = certify("tap.other.svc", serial=3, ca=False, sans=("tap.other.svc",))
PARTS = ("metrics-api", "prometheus", "tap", "tap-injector", "web")
ROLES = ("metrics-api", "prometheus", "tap", "tap-admin")
Json = dict[str, Any]


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def pod(part: str, *, proxied: bool = True, version: str = VERSION, anchors: str = "roots", ready: bool = True) -> Json:
    labels = {"linkerd.io/extension": "viz", "component": part}
    containers: list[Json] = [{"name": part, "image": f"{part}:1"}]
    statuses = [{"name": part, "ready": True, "state": {"running": {}}}]
    if proxied:
        labels["linkerd.io/control-plane-ns"] = "linkerd"
        env = [{"name": "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS", "value": anchors}]
        containers.append({"name": "linkerd-proxy", "image": f"proxy:{version}", "env": env})
        statuses.append({"name": "linkerd-proxy", "ready": ready, "state": {"running": {}}})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{part}-1", "namespace": "linkerd-viz", "labels": labels},
        "spec": {"containers": containers},
        "status": {"phase": "Running", "containerStatuses": statuses},
    }


def named(version: str, kind: str, name: str, **more: Any) -> Json:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **more}


def objects() -> list[Json]:
    """A cluster with a healthy viz."""
    labels = {"linkerd.io/extension": "viz", **MANAGED_BY}
    rbac = "rbac.authorization.k8s.io/v1"
    available = {"type": "Available", "status": "True"}
    found = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "linkerd-viz", "labels": labels}},
        *(named(rbac, "ClusterRole", f"linkerd-linkerd-viz-{one}") for one in ROLES),
        named(rbac, "ClusterRole", "linkerd-tap-injector"),
        *(named(rbac, "ClusterRoleBinding", f"linkerd-linkerd-viz-{one}") for one in (*ROLES, "tap-auth-delegator")),
        named(rbac, "ClusterRoleBinding", "linkerd-tap-injector"),
        named(
            "apiregistration.k8s.io/v1",
            "APIService",
            "v1alpha1.tap.linkerd.io",
            spec={"caBundle": encoded(TAP.pem)},
            status={"conditions": [available]},
        ),
        named("v1", "Secret", "tap-k8s-tls", data={"tls.crt": encoded(TAP.pem), "tls.key": encoded(TAP.key_pem)}),
        named("v1", "ConfigMap", "prometheus-config"),
        named("v1", "ConfigMap", "linkerd-identity-trust-roots", data={"ca-bundle.crt": "roots\n"}),
        *(pod(part) for part in PARTS),
    ]
    for one in found:
        if one["kind"] in ("Secret", "ConfigMap"):
            roots = one["metadata"]["name"] == "linkerd-identity-trust-roots"
            one["metadata"]["namespace"] = "linkerd" if roots else "linkerd-viz"
    return found


HEALTHY = from_objects(objects())


def without(kind: str, name: str) -> list[Json]:
    return [one for one in objects() if (one["kind"], one["metadata"]["name"]) != (kind, name)]


def replaced(kind: str, name: str, **fields: Any) -> list[Json]:
    return [{**one, **fields} if (one["kind"], one["metadata"]["name"]) == (kind, name) else one for one in objects()]


def with_pod(new: Json) -> list[Json]:
    return [*without("Pod", new["metadata"]["name"]), new]


def report(snapshot: MeshSnapshot, expected: str | None = VERSION) -> CheckReport:
    return checks.with_viz(CheckReport(), snapshot, NOW, expected_version=expected)


def judged(found: list[Json], expected: str | None = VERSION) -> dict[str, tuple[str, str]]:
    """Outcome and error of each check but those that pass or are skipped as usual."""
    return {
        result.description: (result.outcome.value, result.error)
        for _, result in report(from_objects(found), expected)
        if result.outcome in (CheckOutcome.FAIL, CheckOutcome.WARN)
    }


def test_a_healthy_viz_passes_all_but_what_only_its_pods_can_tell() -> None:
    (category,) = report(HEALTHY).categories
    assert category.name == "linkerd-viz"
    assert [result.description for result in category.checks] == [check.description for check in CATEGORY.checks]
    skipped = [result.description for result in category.checks if result.outcome is CheckOutcome.SKIP]
    assert skipped == ["viz extension self-check", "no part of viz is left out"]
    assert report(HEALTHY).healthy


def test_a_cluster_without_viz_says_nothing_of_it() -> None:
    assert HEALTHY.viz is not None
    assert report(msgspec.structs.replace(HEALTHY, viz=None)) == CheckReport()
    labelled = Viz(namespace="linkerd-viz")
    assert report(msgspec.structs.replace(HEALTHY, viz=labelled)) == CheckReport()


TAP_SECRET = {"tls.crt": encoded(TAP.pem), "tls.key": encoded(TAP.key_pem)}
FAULTS: dict[str, tuple[list[Json], str, str, str]] = {
    "no metrics API": (
        without("Pod", "metrics-api-1"),
        "can initialize the client",
        "fail",
        "no running pods found for metrics-api",
    ),
    "a role is gone": (
        without("ClusterRole", "linkerd-linkerd-viz-tap-admin"),
        "linkerd-viz ClusterRoles exist",
        "fail",
        "missing ClusterRoles: linkerd-linkerd-viz-tap-admin",
    ),
    "a binding is gone": (
        without("ClusterRoleBinding", "linkerd-tap-injector"),
        "linkerd-viz ClusterRoleBindings exist",
        "fail",
        "missing ClusterRoleBindings: linkerd-tap-injector",
    ),
    "no APIService": (
        without("APIService", "v1alpha1.tap.linkerd.io"),
        "tap API server has valid cert",
        "fail",
        'apiservices.apiregistration.k8s.io "v1alpha1.tap.linkerd.io" not found',
    ),
    "a bundle of nonsense": (
        replaced("APIService", "v1alpha1.tap.linkerd.io", spec={"caBundle": encoded("x")}),
        "tap API server has valid cert",
        "fail",
        "not a PEM certificate",
    ),
    "another's bundle": (
        replaced("APIService", "v1alpha1.tap.linkerd.io", spec={"caBundle": encoded(OTHER.pem)}),
        "tap API server has valid cert",
        "fail",
        "cert is not issued by the trust anchor: x509: certificate signed by unknown authority",
    ),
    "no Secret": (
        without("Secret", "tap-k8s-tls"),
        "tap API server has valid cert",
        "fail",
        'secrets "linkerd-tap-tls" not found',
    ),
    "half a Secret": (
        replaced("Secret", "tap-k8s-tls", data={"tls.crt": TAP_SECRET["tls.crt"]}),
        "tap API server has valid cert",
        "fail",
        "key tls.key needs to exist in secret tap-k8s-tls",
    ),
    "an APIService without a word": (
        replaced("APIService", "v1alpha1.tap.linkerd.io", status={}),
        "tap API service is running",
        "warn",
        "v1alpha1.tap.linkerd.io service not available",
    ),
    "an APIService that is down": (
        replaced(
            "APIService",
            "v1alpha1.tap.linkerd.io",
            status={"conditions": [{"type": "Available", "status": "False", "reason": "Gone", "message": "no pods"}]},
        ),
        "tap API service is running",
        "warn",
        "Gone: no pods",
    ),
    "a plain pod": (
        with_pod(pod("web", proxied=False)),
        "linkerd-viz pods are injected",
        "warn",
        "could not find proxy container for web-1 pod",
    ),
    "no web": (
        without("Pod", "web-1"),
        "viz extension pods are running",
        "warn",
        "Could not find pods for deployment web",
    ),
    "a proxy that isn't ready": (
        with_pod(pod("web", ready=False)),
        "viz extension proxies are healthy",
        "warn",
        'container "linkerd-proxy" in pod "web-1" is not ready',
    ),
    "an old bundle": (
        with_pod(pod("web", anchors="old")),
        "viz extension proxies are healthy",
        "warn",
        "Some pods do not have the current trust bundle and must be restarted:\n\t* web-1",
    ),
    "no bundle": (
        without("ConfigMap", "linkerd-identity-trust-roots"),
        "viz extension proxies are healthy",
        "warn",
        'configmaps "linkerd-identity-trust-roots" not found',
    ),
    "nobody has a proxy": (
        [one for one in objects() if one["kind"] != "Pod"] + [pod(part, proxied=False) for part in PARTS],
        "viz extension proxies are healthy",
        "warn",
        'no "linkerd-proxy" containers found in the "linkerd" namespace',
    ),
    "another version": (
        with_pod(pod("web", version="edge-26.1.1")),
        "viz extension proxies and cli versions match",
        "warn",
        f"web-1 running edge-26.1.1 but cli running {VERSION}",
    ),
    "an outdated version": (
        with_pod(pod("web", version="edge-26.1.1")),
        "viz extension proxies are up-to-date",
        "warn",
        "some proxies are not running the current version:\n\t* web-1 (edge-26.1.1)",
    ),
    "no Prometheus": (
        without("Pod", "prometheus-1"),
        "prometheus is installed and configured correctly",
        "warn",
        "Could not find pods for deployment prometheus",
    ),
    "an unconfigured Prometheus": (
        without("ConfigMap", "prometheus-config"),
        "prometheus is installed and configured correctly",
        "warn",
        "missing ConfigMaps: prometheus-config",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_what_is_wrong_is_told_in_the_clis_words(case: str) -> None:
    found, description, outcome, words = FAULTS[case]
    assert judged(found)[description] == (outcome, words)


def test_a_certificate_near_its_end_is_a_warning() -> None:
    data = {"tls.crt": encoded(OLD.pem), "tls.key": encoded(OLD.key_pem)}
    found = [
        {**one, "spec": {"caBundle": encoded(OLD.pem)}} if one["kind"] == "APIService" else one
        for one in replaced("Secret", "tap-k8s-tls", data=data)
    ]
    outcome, words = judged(found)["tap API server cert is valid for at least 60 days"]
    assert outcome == "warn"
    assert words.startswith("certificate ")


def test_the_old_name_of_the_secret_is_looked_for_too() -> None:
    data = {"crt.pem": encoded(TAP.pem), "key.pem": encoded(TAP.key_pem)}
    old = named("v1", "Secret", "linkerd-tap-tls", data=data)
    old["metadata"]["namespace"] = "linkerd-viz"
    assert judged([*without("Secret", "tap-k8s-tls"), old]) == {}


def test_a_fatal_fault_ends_the_look() -> None:
    found = report(from_objects(without("Pod", "metrics-api-1")))
    assert [result.description for _, result in found][1:] == ["can initialize the client"]


def test_a_prometheus_of_the_users_own_is_not_looked_for() -> None:
    annotated = {"viz.linkerd.io/external-prometheus": "http://prometheus"}
    metadata = {**objects()[0]["metadata"], "annotations": annotated}
    found = [{**objects()[0], "metadata": metadata}, *without("Pod", "prometheus-1")[1:]]
    assert judged(found) == {}


def test_versions_are_not_compared_with_nothing() -> None:
    assert judged(with_pod(pod("web", version="edge-26.1.1")), None) == {}


def test_what_was_left_out_is_not_missed_and_said_once() -> None:
    metadata = {**objects()[0]["metadata"], "annotations": {LEFT_OUT: "tap"}}
    found = [{**objects()[0], "metadata": metadata}]
    found += [one for one in objects()[1:] if "tap" not in one["metadata"]["name"]]
    assert set(judged(found)) == {"no part of viz is left out"}
    outcome, words = judged(found)["no part of viz is left out"]
    assert outcome == "warn"
    assert words.startswith("tap was left out, because the cluster lets nobody write the RoleBinding in kube-system")
    assert report(from_objects(found)).healthy


def test_the_snapshot_says_whose_it_is_and_where() -> None:
    viz = HEALTHY.viz
    assert viz is not None
    assert (viz.namespace, viz.ours, viz.left_out, viz.external_prometheus) == ("linkerd-viz", True, "", "")
    assert [one.pod.name for one in viz.pods] == [f"{part}-1" for part in PARTS]
    assert from_objects(objects()[1:]).viz is None


def test_a_pod_of_another_label_is_no_part() -> None:
    stranger = VizPod(Pod(namespace="linkerd-viz", name="debug", phase="Running", status="Running"), True, None)
    viz = HEALTHY.viz
    assert viz is not None
    more = msgspec.structs.replace(HEALTHY, viz=msgspec.structs.replace(viz, pods=(*viz.pods, stranger)))
    assert report(more).healthy
    assert NOW.tzinfo is dt.UTC
