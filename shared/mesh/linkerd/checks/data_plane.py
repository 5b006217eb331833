"""linkerd-data-plane: the meshed pods of all namespaces, and the Services before them."""

from __future__ import annotations

from shared.mesh.fold import names
from shared.mesh.linkerd.checks import channels
from shared.mesh.linkerd.checks.check import (
    Category,
    Check,
    Evidence,
    Fault,
    Severity,
    Skip,
    Verdict,
    and_others,
    lines,
)
from shared.mesh.linkerd.checks.control_plane import outdated
from shared.mesh.linkerd.checks.version import UNKNOWN
from shared.mesh.snapshot import MeshedPod, Standouts


def _all_namespaces(_: Evidence) -> Verdict:
    """The CLI looks for one namespace here if it was given one; here all are looked at."""
    return None


def _ready(evidence: Evidence) -> Verdict:
    proxies = evidence.snapshot.proxies
    if not proxies.total:
        return Fault(f'no "{names.PROXY}" containers found')
    failing = proxies.failing
    if not failing.count:
        return None
    others = [f"{pod.namespace}/{pod.name}" for pod in failing.first[1:]]
    return and_others(failing.first[0].why, others, failing.count)


def _storage_key(pod: MeshedPod) -> str:
    return f"{pod.namespace}/{pod.name}"


def _up_to_date(evidence: Evidence) -> Verdict:
    if evidence.expected is None:
        return UNKNOWN
    versions = evidence.snapshot.proxies.versions
    pods = sorted((pod for version in versions for pod in version.pods.first), key=_storage_key)
    verdict = outdated(evidence.expected, [(pod.name, pod.why) for pod in pods])
    if not isinstance(verdict, Fault):
        return verdict
    other = [version.pods for version in versions if channels.mismatch(evidence.expected, version.version)]
    unnamed = sum(found.count - len(found.first) for found in other)
    return lines(verdict.words, [], unnamed)


def _same_as_cli(evidence: Evidence) -> Verdict:
    if evidence.expected is None:
        return UNKNOWN
    found = [version for version in evidence.snapshot.proxies.versions if version.version != evidence.expected]
    pods = sorted((pod for version in found for pod in version.pods.first), key=_storage_key)
    if not pods:
        return None
    first = f"{pods[0].name} running {pods[0].why} but cli running {evidence.expected}"
    others = [f"{pod.namespace}/{pod.name} ({pod.why})" for pod in pods[1:]]
    return and_others(first, others, sum(version.pods.count for version in found))


def _misplaced(found: Standouts, title: str) -> Verdict:
    if not found.count:
        return None
    return lines(f"{title}:", [f"\t* {pod.namespace}/{pod.name}\n\t\t{pod.why}" for pod in found.first], found.count)


def _pod_labels(evidence: Evidence) -> Verdict:
    return _misplaced(evidence.snapshot.proxies.mislabelled, "Some labels on data plane pods should be annotations")


def _service_labels(evidence: Evidence) -> Verdict:
    return _misplaced(
        evidence.snapshot.service_metadata.mislabelled, "Some labels on data plane services should be annotations"
    )


def _service_annotations(evidence: Evidence) -> Verdict:
    return _misplaced(
        evidence.snapshot.service_metadata.misannotated, "Some annotations on data plane services should be labels"
    )


def _opaque_ports(evidence: Evidence) -> Verdict:
    found = evidence.snapshot.opaque_ports
    if found is None:
        return Skip("Services and the pods behind them weren't compared")
    if found.absent:
        return Fault(found.absent)
    if not found.count:
        return None
    # The CLI joins its lines so; it names them in no order.
    return lines("\n    ".join(f"\t* {fault}" for fault in found.first), [], found.count - len(found.first))


CATEGORY = Category(
    "linkerd-data-plane",
    (
        Check(
            "data-plane-namespace",
            "data plane namespace exists",
            "l5d-data-plane-exists",
            _all_namespaces,
            Severity.FATAL,
        ),
        Check("data-plane-ready", "data plane proxies are ready", "l5d-data-plane-ready", _ready, Severity.FATAL),
        Check(
            "data-plane-up-to-date",
            "data plane is up-to-date",
            "l5d-data-plane-version",
            _up_to_date,
            Severity.WARNING,
        ),
        Check(
            "data-plane-same-as-cli",
            "data plane and cli versions match",
            "l5d-data-plane-cli-version",
            _same_as_cli,
            Severity.WARNING,
        ),
        Check(
            "pod-labels",
            "data plane pod labels are configured correctly",
            "l5d-data-plane-pod-labels",
            _pod_labels,
            Severity.WARNING,
        ),
        Check(
            "service-labels",
            "data plane service labels are configured correctly",
            "l5d-data-plane-services-labels",
            _service_labels,
            Severity.WARNING,
        ),
        Check(
            "service-annotations",
            "data plane service annotations are configured correctly",
            "l5d-data-plane-services-annotations",
            _service_annotations,
            Severity.WARNING,
        ),
        Check(
            "opaque-ports",
            "opaque ports are properly annotated",
            "linkerd-opaque-ports-definition",
            _opaque_ports,
            Severity.WARNING,
        ),
    ),
)
