"""Which pods Linkerd's injector gives a proxy to (linkerd2 pkg/inject/report.go, disabledByAnnotation)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shared.mesh.fold import names
from shared.mesh.fold.selectors import matches
from shared.mesh.snapshot import LabelSelector, Named, Webhooks

_ENABLED = ("enabled", "ingress")
_EVERYTHING = LabelSelector()


class Injection:
    """What the injector does about a pod, by its namespace and its own annotation.

    Args:
        namespaces: all namespaces.
        webhook: the injector's configuration; None where it has none, and then nothing is left out by selectors.
        own: the mesh's own namespace, whose pods bring their proxies with them.
    """

    def __init__(self, namespaces: Iterable[Named], webhook: Webhooks | None, own: str) -> None:
        first = webhook is not None and webhook.namespace_selectors
        within = webhook.namespace_selectors[0] if webhook is not None and first else _EVERYTHING
        self._objects = webhook.object_selectors[0] if webhook is not None and first else _EVERYTHING
        self._namespaces = {
            found.name: found.annotations.get(names.INJECT, "")
            for found in namespaces
            if found.name != own and matches(within, {**found.labels, names.NAMESPACE_NAME: found.name})
        }

    @property
    def namespaces(self) -> Mapping[str, str]:
        """The namespaces whose pods the API server asks the injector about, and their annotation, "" without one."""
        return self._namespaces

    def wanted(self, namespace: str, labels: Mapping[str, str], annotations: Mapping[str, str]) -> str:
        """Where the wish for a proxy is written, `namespace` or `pod`; "" where there is none."""
        above = self._namespaces.get(namespace)
        if above is None or not matches(self._objects, labels):
            return ""
        own = annotations.get(names.INJECT, "")
        if above in _ENABLED and own in (*_ENABLED, ""):
            return "namespace"
        return "pod" if own in _ENABLED and above in ("", "disabled") else ""
