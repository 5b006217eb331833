"""linkerd-control-plane-proxy and linkerd-ha-checks: the control plane's own proxies and replicas."""

from __future__ import annotations

from shared.mesh.fold import names, proxy
from shared.mesh.linkerd.checks import channels
from shared.mesh.linkerd.checks.check import Category, Check, Evidence, Fault, Severity, Skip, Verdict, not_found
from shared.mesh.linkerd.checks.version import UNKNOWN
from shared.mesh.snapshot import Pod

_COMPONENTS = ("linkerd-destination", "linkerd-identity", "linkerd-proxy-injector")


def _meshed(evidence: Evidence) -> list[Pod]:
    return [pod for pod in evidence.snapshot.mesh_pods if names.CONTROL_PLANE_NS in pod.labels]


def _healthy(evidence: Evidence) -> Verdict:
    pods = _meshed(evidence)
    if not pods:
        namespace = evidence.snapshot.namespace
        return Fault(f'no "{names.PROXY}" containers found in the "{namespace}" namespace')
    for pod in pods:
        if fault := proxy.fault(pod):
            return Fault(fault)
    if evidence.snapshot.trust_roots is None:
        return not_found("configmaps", "linkerd-identity-trust-roots")
    return None


def _running_versions(evidence: Evidence) -> list[tuple[str, str]]:
    return [(pod.name, pod.proxy_version) for pod in _meshed(evidence) if pod.status == "Running" and pod.proxy_version]


def _up_to_date(evidence: Evidence) -> Verdict:
    if evidence.expected is None:
        return UNKNOWN
    return outdated(evidence.expected, _running_versions(evidence))


def outdated(expected: str, pods: list[tuple[str, str]]) -> Verdict:
    """Which of the running proxies, as (pod, version), isn't of the expected version (CheckProxyVersionsUpToDate)."""
    try:
        channels.parse(expected)
    except channels.VersionError:
        return Fault("unable to determine version channel")
    lines = [f"\t* {name} ({version})" for name, version in pods if channels.mismatch(expected, version)]
    return Fault("some proxies are not running the current version:\n" + "\n".join(lines)) if lines else None


def _same_as_cli(evidence: Evidence) -> Verdict:
    if evidence.expected is None:
        return UNKNOWN
    for name, version in _running_versions(evidence):
        if version != evidence.expected:
            return Fault(f"{name} running {version} but cli running {evidence.expected}")
    return None


PROXIES = Category(
    "linkerd-control-plane-proxy",
    (
        Check("own-proxies", "control plane proxies are healthy", "l5d-cp-proxy-healthy", _healthy, Severity.FATAL),
        Check(
            "own-proxies-up-to-date",
            "control plane proxies are up-to-date",
            "l5d-cp-proxy-version",
            _up_to_date,
            Severity.WARNING,
        ),
        Check(
            "own-proxies-same-as-cli",
            "control plane proxies and cli versions match",
            "l5d-cp-proxy-cli-version",
            _same_as_cli,
            Severity.WARNING,
        ),
    ),
)


def _replicas(evidence: Evidence) -> Verdict:
    config = evidence.snapshot.config
    if config is None or not (config.values or {}).get("highAvailability"):
        return Skip("not run for non HA installs")
    available = {deployment.name: deployment.available for deployment in evidence.snapshot.deployments}
    for name in _COMPONENTS:
        if name not in available:
            return not_found("deployments.apps", name)
    faulty = [name for name in _COMPONENTS if available[name] <= 1]
    return Fault(f"not enough replicas available for [{' '.join(faulty)}]") if faulty else None


HA = Category(
    "linkerd-ha-checks",
    (
        Check(
            "replicas",
            "multiple replicas of control plane pods",
            "l5d-control-plane-replicas",
            _replicas,
            Severity.WARNING,
        ),
    ),
)
