"""byomesh: what `linkerd check` doesn't ask, and what goes wrong on Autopilot all the same."""

from __future__ import annotations

from collections.abc import Callable

from shared.mesh.fold import names
from shared.mesh.linkerd.checks.check import Category, Check, Doubt, Evidence, Fault, Severity, Skip, Verdict, lines
from shared.mesh.snapshot import SHOWN, Admission, Admitted, MeshSnapshot, Outdated, Workload

NAME = "byomesh"
_HINTS = "docs/checks.md#"
_FIREWALL = (
    "allow TCP 8443 from the control plane to the nodes, the port of linkerd-proxy-injector (a private cluster's "
    "firewall opens only 443 and 10250 by itself)"
)


def injector_ready(snapshot: MeshSnapshot) -> bool:
    """Whether the API server has an injector to ask: its configuration is there, and one of its pods is ready."""
    configured = any(found.name == names.INJECTOR for found in snapshot.mutating_webhooks)
    pods = [pod for pod in snapshot.mesh_pods if pod.labels.get(names.COMPONENT) == "proxy-injector"]
    return configured and any(
        pod.phase == "Running" and pod.containers and all(container.ready for container in pod.containers)
        for pod in pods
    )


def _admission(evidence: Evidence) -> Verdict:
    if not injector_ready(evidence.snapshot):
        return Skip("the injector isn't ready, which other checks say")
    found = evidence.snapshot.admission
    return Skip("no pod was tried") if found is None else _ending(found)


def _ending(found: Admission) -> Verdict:
    where = f"a pod annotated {names.INJECT}: enabled in namespace {found.namespace}"
    match found.outcome:
        case Admitted.INJECTED:
            return None
        case Admitted.PLAIN:
            return Fault(
                f"{where} is admitted without a {names.PROXY} container: the API server can't reach the injector and "
                f"goes on without it (failurePolicy Ignore), or the injector leaves the pod alone; {_FIREWALL}"
            )
        case Admitted.UNCALLED:
            return Fault(f"{where} isn't admitted, since the injector can't be called: {found.words}; {_FIREWALL}")
        case Admitted.REJECTED:
            return Fault(f"{where} isn't admitted, since the injector rejects it: {found.words}")
        case _:
            return Doubt(f"{where} isn't admitted for another reason, so it is unknown: {found.words}")


def _named(found: Workload) -> str:
    pods = "1 pod" if found.pods == 1 else f"{found.pods} pods"
    return f"\t* {found.kind} {found.namespace}/{found.name} ({pods})"


def _listed(title: str, found: list[str], other_pods: int) -> Verdict:
    if not found and not other_pods:
        return None
    verdict = lines(title, found[:SHOWN], len(found))
    return Fault(f"{verdict.words}\n\tand {other_pods} pods of other workloads") if other_pods else verdict


def _unrequested(*, own: bool) -> Callable[[Evidence], Verdict]:
    def judge(evidence: Evidence) -> Verdict:
        found = evidence.snapshot.unrequested
        ours = [one for one in found.first if (one.namespace == evidence.snapshot.namespace) is own]
        title = "Containers without requests (Autopilot bills 0.5 vCPU and 2 GiB for each):"
        listed = [f"{_named(one)}\n\t\t" + "\n\t\t".join(one.reasons) for one in ours]
        return _listed(title, listed, 0 if own else found.other_pods)

    return judge


def _unmeshed(evidence: Evidence) -> Verdict:
    found = evidence.snapshot.unmeshed
    listed = [f"{_named(one)}: {names.INJECT} on its {' or '.join(one.reasons)}" for one in found.first]
    return _listed("Workloads that are to be meshed and run without a proxy; restart them:", listed, found.other_pods)


def _outdated(reason: Outdated, title: str) -> Callable[[Evidence], Verdict]:
    def judge(evidence: Evidence) -> Verdict:
        found = evidence.snapshot.outdated
        listed = [_named(one) for one in found.first if reason in one.reasons]
        # Why the pods of further workloads are outdated isn't known one by one, so they are told of beside others.
        return _listed(title, listed, found.other_pods if listed else 0)

    return judge


def _row(
    id_: str, description: str, judge: Callable[[Evidence], Verdict], severity: Severity = Severity.WARNING
) -> Check:
    return Check(id_, description, id_, judge, severity, hints=_HINTS)


CATEGORY = Category(
    NAME,
    (
        _row("admission", "new pods get a proxy", _admission, Severity.PLAIN),
        _row("requests-own", "control plane containers have resource requests", _unrequested(own=True)),
        _row("requests-meshed", "meshed containers have resource requests", _unrequested(own=False)),
        _row("unmeshed", "workloads that are to be meshed have proxies", _unmeshed),
        _row(
            "outdated-version",
            "meshed workloads run the control plane's proxy version",
            _outdated(Outdated.VERSION, "Proxies of another version than the control plane gives; restart:"),
        ),
        _row(
            "outdated-networks",
            "meshed workloads know the control plane's clusterNetworks",
            _outdated(Outdated.NETWORKS, "Proxies with other clusterNetworks than the control plane's; restart:"),
        ),
        _row(
            "outdated-trust-anchors",
            "meshed workloads trust the control plane's trust anchors",
            _outdated(Outdated.TRUST_ANCHORS, "Proxies with other trust anchors than the control plane's; restart:"),
        ),
    ),
)
"""Runs after the CLI's own categories, and only if none of these ended the run."""
