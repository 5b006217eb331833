"""What the running proxies of a cluster trust, folded from its pods one at a time; pure.

An injected proxy has its trust anchors as text in its environment. A control-plane proxy refers to the ConfigMap
linkerd-identity-trust-roots, which it read when it started; what that said then is known by the pod's annotation
linkerd.io/trust-root-sha256, the hash of the bundle that its Deployment was rendered with (linkerd2
charts/partials/templates/_metadata.tpl).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from cryptography import x509

from shared.mesh.fold import names
from shared.mesh.linkerd.certificates import UnreadableCertificate, certificates_of

_ROOTS_HASH = "linkerd.io/trust-root-sha256"
_OVER = ("Succeeded", "Failed")
_SHOWN = 10
"""How many of the workloads that hold a step back are named."""


class Lacking(msgspec.Struct, frozen=True):
    """Proxies that don't trust an anchor: how many pods, and the first workloads they belong to, as KIND NS/NAME."""

    pods: int
    workloads: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.pods} pods, of {', '.join(self.workloads)}" if self.pods else "none"


class ProxyTrust(msgspec.Struct, frozen=True, kw_only=True):
    """The running proxies, by what they trust.

    Attributes:
        bundles: for each set of anchors that some proxies trust, those proxies; an empty set where it isn't known.
        oldest: when the oldest of their pods was created; None where there is none, or one doesn't say.
    """

    bundles: tuple[tuple[frozenset[x509.Certificate], Lacking], ...] = ()
    oldest: dt.datetime | None = None

    def lacking(self, anchor: x509.Certificate) -> Lacking:
        """The proxies that don't trust an anchor."""
        found = [proxies for trusted, proxies in self.bundles if anchor not in trusted]
        workloads = dict.fromkeys(name for proxies in found for name in proxies.workloads)
        return Lacking(sum(proxies.pods for proxies in found), tuple(workloads)[:_SHOWN])


def fold(pods: Iterable[Mapping[str, Any]], texts: Iterable[str]) -> ProxyTrust:
    """Fold meshed pods as JSON; those that have finished, or have no proxy, count for nothing.

    Args:
        pods: all pods with the control plane's label.
        texts: PEM bundles that the control plane may have been rendered with.
    """
    by_hash = {
        hashlib.sha256(form.encode()).hexdigest(): _trusted(text)
        for text in texts
        for form in (text, text.strip(), text.strip() + "\n")
    }
    read: dict[str, frozenset[x509.Certificate]] = {}
    counts: dict[frozenset[x509.Certificate], int] = {}
    workloads: dict[frozenset[x509.Certificate], dict[str, None]] = {}
    created: list[dt.datetime | None] = []
    for pod in pods:
        variable = _variable(pod)
        if variable is None or (pod.get("status") or {}).get("phase") in _OVER:
            continue
        text = variable.get("value")
        if isinstance(text, str):
            trusted = read[text] if text in read else read.setdefault(text, _trusted(text))
        else:
            annotations = pod["metadata"].get("annotations") or {}
            trusted = by_hash.get(str(annotations.get(_ROOTS_HASH)), frozenset())
        counts[trusted] = counts.get(trusted, 0) + 1
        named = workloads.setdefault(trusted, {})
        if len(named) < _SHOWN:
            named[_workload(pod["metadata"])] = None
        moment = pod["metadata"].get("creationTimestamp")
        created.append(dt.datetime.fromisoformat(moment) if moment else None)
    bundles = tuple((trusted, Lacking(pods, tuple(workloads[trusted]))) for trusted, pods in counts.items())
    dated = [moment for moment in created if moment is not None]
    return ProxyTrust(bundles=bundles, oldest=min(dated) if dated and len(dated) == len(created) else None)


def _variable(pod: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The proxy's variable with its trust anchors; None without a proxy, an empty one where it has none."""
    spec = pod.get("spec") or {}
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        if container.get("name") == names.PROXY:
            found: Iterable[Mapping[str, Any]] = container.get("env") or ()
            return next((one for one in found if one.get("name") == names.TRUST_ANCHORS), {})
    return None


def _workload(metadata: Mapping[str, Any]) -> str:
    """What a restart would be a restart of, as `fold.owners.owner_of` names it."""
    owner = next((one for one in metadata.get("ownerReferences") or () if one.get("controller")), None)
    kind, name = (owner["kind"], owner["name"]) if owner is not None else ("Pod", metadata.get("name", ""))
    template = (metadata.get("labels") or {}).get("pod-template-hash")
    if kind == "ReplicaSet" and template and name.endswith(f"-{template}"):
        kind, name = "Deployment", name.removesuffix(f"-{template}")
    return f"{kind} {metadata.get('namespace', '')}/{name}"


def _trusted(text: str) -> frozenset[x509.Certificate]:
    try:
        return frozenset(certificates_of(text, "a proxy's trust anchors"))
    except UnreadableCertificate:
        return frozenset()
