"""linkerd-viz: what `linkerd viz check` makes sure of, and so `linkerd check` where viz is installed.

Facts: linkerd2 viz/pkg/healthcheck/healthcheck.go, VizCategory, at b24cd4059. The last of its checks asks the metrics
API about itself through a connection to a pod, which can't be had from outside; the second only sees whether there is a
pod to connect to. A part that byomesh left out, because the cluster refuses it, isn't missed, and said once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from shared.mesh.fold import names, proxy
from shared.mesh.linkerd import trust
from shared.mesh.linkerd.checks.check import (
    Category,
    Check,
    Evidence,
    Fault,
    Severity,
    Skip,
    Verdict,
    missing,
    not_found,
)
from shared.mesh.linkerd.checks.control_plane import outdated
from shared.mesh.linkerd.checks.pairs import Pair, read_pair
from shared.mesh.linkerd.checks.version import UNKNOWN
from shared.mesh.linkerd.checks.webhooks import expiring, trusted
from shared.mesh.snapshot.viz import Viz, VizPod

NAME = "linkerd-viz"
_EXTENSION = "viz"
_TAP = "tap"
"""The part that may be left out (the profile's `optional_part`)."""
_TAP_API = "v1alpha1.tap.linkerd.io"
_PARTS = ("web", "tap", "metrics-api", "tap-injector")
Judge = Callable[[Evidence, Viz], Verdict]


def _of_viz(judge: Judge) -> Callable[[Evidence], Verdict]:
    def judged(evidence: Evidence) -> Verdict:
        viz = evidence.snapshot.viz
        if viz is None:
            return Fault(f'namespace with label "{names.EXTENSION}: {_EXTENSION}" not found')
        return judge(evidence, viz)

    return judged


def _of_tap(judge: Judge) -> Judge:
    def judged(evidence: Evidence, viz: Viz) -> Verdict:
        return Skip("viz was installed without tap") if viz.left_out == _TAP else judge(evidence, viz)

    return judged


def _there(_evidence: Evidence, _viz: Viz) -> Verdict:
    return None


def answers(viz: Viz) -> bool:
    """Whether a pod of the metrics API runs, without which the CLI ends its look at viz."""
    return any(one.pod.phase == "Running" and one.pod.labels.get("component") == "metrics-api" for one in viz.pods)


def _client(_evidence: Evidence, viz: Viz) -> Verdict:
    return None if answers(viz) else Fault("no running pods found for metrics-api")


def _cluster_roles(_evidence: Evidence, viz: Viz) -> Verdict:
    tap = [f"linkerd-{viz.namespace}-tap", f"linkerd-{viz.namespace}-tap-admin", "linkerd-tap-injector"]
    wanted = [f"linkerd-{viz.namespace}-metrics-api", *(tap if viz.left_out != _TAP else ())]
    return missing("ClusterRoles", wanted, viz.cluster_roles)


def _cluster_role_bindings(_evidence: Evidence, viz: Viz) -> Verdict:
    tap = [f"linkerd-{viz.namespace}-tap", f"linkerd-{viz.namespace}-tap-auth-delegator", "linkerd-tap-injector"]
    wanted = [f"linkerd-{viz.namespace}-metrics-api", *(tap if viz.left_out != _TAP else ())]
    return missing("ClusterRoleBindings", wanted, viz.cluster_role_bindings)


def _pair(viz: Viz) -> Pair | Fault:
    for secret, (certificate, key) in (
        ("tap-k8s-tls", ("tls.crt", "tls.key")),
        ("linkerd-tap-tls", ("crt.pem", "key.pem")),
    ):
        held = viz.credentials.get(secret)
        if held is None:
            continue
        for name, there in ((certificate, held.certificates), (key, held.keys)):
            if name not in there:
                return Fault(f"key {name} needs to exist in secret {secret}")
        return read_pair(held, certificate, key)
    return not_found("secrets", "linkerd-tap-tls")


def _certificate(evidence: Evidence, viz: Viz) -> Verdict:
    if viz.tap is None:
        return not_found("apiservices.apiregistration.k8s.io", _TAP_API)
    try:
        anchors = trust.read_certificates(viz.tap.ca_bundle)
    except trust.PemError as error:
        return Fault(str(error))
    pair = _pair(viz)
    return trusted(evidence, pair, anchors, f"tap.{viz.namespace}.svc") if isinstance(pair, Pair) else pair


def _lasting(evidence: Evidence, viz: Viz) -> Verdict:
    pair = _pair(viz)
    return expiring(evidence, pair) if isinstance(pair, Pair) else pair


def _api_service(_evidence: Evidence, viz: Viz) -> Verdict:
    if viz.tap is None:
        return not_found("apiservices.apiregistration.k8s.io", _TAP_API)
    for condition in viz.tap.conditions:
        if condition.type == "Available":
            return None if condition.status == "True" else Fault(f"{condition.reason}: {condition.message}")
    return Fault(f"{_TAP_API} service not available")


def _injected(_evidence: Evidence, viz: Viz) -> Verdict:
    plain = next((one.pod.name for one in viz.pods if not one.proxied), None)
    return None if plain is None else Fault(f"could not find proxy container for {plain} pod")


def _labelled(viz: Viz, label: str, value: str | None = None) -> list[VizPod]:
    return [one for one in viz.pods if label in one.pod.labels and value in (None, one.pod.labels[label])]


def _absent(pods: Iterable[VizPod], parts: Iterable[str]) -> Verdict:
    """A part of which there is no pod (CheckForPods)."""
    there = {one.pod.labels.get(label) for one in pods for label in (names.COMPONENT, "component")}
    absent = next((part for part in parts if part not in there), None)
    return None if absent is None else Fault(f"Could not find pods for deployment {absent}")


def _running(_evidence: Evidence, viz: Viz) -> Verdict:
    pods = _labelled(viz, names.EXTENSION, _EXTENSION)
    parts = [part for part in _PARTS if viz.left_out != _TAP or not part.startswith(_TAP)]
    return _absent(pods, parts) or _unfit(pods)


def _unfit(pods: Iterable[VizPod]) -> Verdict:
    fault = next(filter(None, (proxy.fault(one.pod) for one in pods)), "")
    return Fault(fault) if fault else None


def _healthy(evidence: Evidence, viz: Viz) -> Verdict:
    snapshot = evidence.snapshot
    pods = _labelled(viz, names.CONTROL_PLANE_NS)
    if not pods:
        return Fault(f'no "{names.PROXY}" containers found in the "{snapshot.namespace}" namespace')
    if fault := _unfit(pods):
        return fault
    if snapshot.trust_roots is None:
        return not_found("configmaps", "linkerd-identity-trust-roots")
    current = snapshot.trust_roots.strip()
    old = [f"* {one.pod.name}" for one in pods if one.anchors is not None and one.anchors.strip() != current]
    words = "Some pods do not have the current trust bundle and must be restarted:\n\t" + "\n\t".join(old)
    return Fault(words) if old else None


def _running_versions(viz: Viz) -> list[tuple[str, str]]:
    pods = (one.pod for one in viz.pods)
    return [(pod.name, pod.proxy_version) for pod in pods if pod.status == "Running" and pod.proxy_version]


def _up_to_date(evidence: Evidence, viz: Viz) -> Verdict:
    return UNKNOWN if evidence.expected is None else outdated(evidence.expected, _running_versions(viz))


def _same_as_cli(evidence: Evidence, viz: Viz) -> Verdict:
    if evidence.expected is None:
        return UNKNOWN
    other = next((one for one in _running_versions(viz) if one[1] != evidence.expected), None)
    return None if other is None else Fault(f"{other[0]} running {other[1]} but cli running {evidence.expected}")


def _prometheus(_evidence: Evidence, viz: Viz) -> Verdict:
    if viz.external_prometheus:
        return Skip("prometheus is disabled")
    name = f"linkerd-{viz.namespace}-prometheus"
    return (
        missing("ClusterRoles", [name], viz.cluster_roles)
        or missing("ClusterRoleBindings", [name], viz.cluster_role_bindings)
        or missing("ConfigMaps", ["prometheus-config"], ["prometheus-config"] if viz.prometheus_config else [])
        or _absent(_labelled(viz, names.EXTENSION, _EXTENSION), ["prometheus"])
    )


def _self_check(_evidence: Evidence, _viz: Viz) -> Verdict:
    return Skip("the metrics API can't be asked from outside the cluster")


def _whole(_evidence: Evidence, viz: Viz) -> Verdict:
    if not viz.left_out:
        return Skip("nothing was left out")
    return Fault(
        f"{viz.left_out} was left out, because the cluster lets nobody write the RoleBinding in kube-system that it "
        f"needs: metrics and the dashboard work, `linkerd viz tap` and `linkerd viz top` don't"
    )


def _row(id_: str, description: str, anchor: str, judge: Judge, severity: Severity = Severity.WARNING) -> Check:
    return Check(f"viz-{id_}", description, anchor, _of_viz(judge), severity)


CATEGORY = Category(
    NAME,
    (
        _row("namespace", "linkerd-viz Namespace exists", "l5d-viz-ns-exists", _there, Severity.FATAL),
        _row("client", "can initialize the client", "l5d-viz-existence-client", _client, Severity.FATAL),
        _row("cluster-roles", "linkerd-viz ClusterRoles exist", "l5d-viz-cr-exists", _cluster_roles, Severity.FATAL),
        _row(
            "cluster-role-bindings",
            "linkerd-viz ClusterRoleBindings exist",
            "l5d-viz-crb-exists",
            _cluster_role_bindings,
            Severity.FATAL,
        ),
        _row("tap-cert", "tap API server has valid cert", "l5d-tap-cert-valid", _of_tap(_certificate), Severity.FATAL),
        _row(
            "tap-expiry",
            "tap API server cert is valid for at least 60 days",
            "l5d-tap-cert-not-expiring-soon",
            _of_tap(_lasting),
        ),
        _row("tap-api", "tap API service is running", "l5d-tap-api", _of_tap(_api_service)),
        _row("injected", "linkerd-viz pods are injected", "l5d-viz-pods-injection", _injected),
        _row("running", "viz extension pods are running", "l5d-viz-pods-running", _running),
        _row("proxies", "viz extension proxies are healthy", "l5d-viz-proxy-healthy", _healthy),
        _row("up-to-date", "viz extension proxies are up-to-date", "l5d-viz-proxy-cp-version", _up_to_date),
        _row(
            "same-as-cli",
            "viz extension proxies and cli versions match",
            "l5d-viz-proxy-cli-version",
            _same_as_cli,
        ),
        _row("prometheus", "prometheus is installed and configured correctly", "l5d-viz-prometheus", _prometheus),
        _row("self-check", "viz extension self-check", "l5d-viz-metrics-api", _self_check, Severity.FATAL),
        Check(
            "viz-whole",
            "no part of viz is left out",
            "what-a-cluster-may-refuse",
            _of_viz(_whole),
            Severity.WARNING,
            hints="docs/extensions.md#",
        ),
    ),
)
