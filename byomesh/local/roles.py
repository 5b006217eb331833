"""What each account of the local cloud may do inside its clusters: data, and the pure decision over it.

Shaped as Kubernetes' own PolicyRule (rbac.authorization.k8s.io/v1), so that a deployment's roles can take its place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

EVERYTHING = ("*",)

MESH_NAMESPACE = "linkerd"
STATUS_NAMESPACE = "byomesh-system"


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """Allows `verbs` on `resources` of API `groups` in `namespaces`, or on non-resource `urls`.

    Attributes:
        verbs: Kubernetes' verbs in lower case; `*` is all of them.
        groups: API groups, "" being core; `*` is all of them.
        resources: plural names, `RESOURCE/SUBRESOURCE` for a subresource; `*` is all, subresources included.
        namespaces: where; `*` is everywhere, cluster-wide requests included.
        urls: paths of non-resource requests; a trailing `*` matches any rest.
    """

    verbs: tuple[str, ...]
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = EVERYTHING
    urls: tuple[str, ...] = ()

    def covers(self, spec: Mapping[str, Any]) -> bool:
        """Whether the rule allows the request of a SubjectAccessReview's spec."""
        resource = spec.get("resourceAttributes")
        if resource is None:
            path = spec.get("nonResourceAttributes", {})
            return _has(self.verbs, path.get("verb", "")) and any(
                _matches(url, path.get("path", "")) for url in self.urls
            )
        name = resource.get("resource", "")
        if resource.get("subresource"):
            name = f"{name}/{resource['subresource']}"
        return (
            _has(self.verbs, resource.get("verb", ""))
            and _has(self.groups, resource.get("group", ""))
            and _has(self.resources, name)
            and _has(self.namespaces, resource.get("namespace", ""))
        )


_READ = ("get", "list", "watch")
_WRITE = ("create", "update", "patch")

ROLES: Mapping[str, tuple[Rule, ...]] = {
    "cluster-admin": (Rule(EVERYTHING, EVERYTHING, EVERYTHING), Rule(EVERYTHING, urls=EVERYTHING)),
    "cluster-viewer-and-patcher": (
        Rule(_READ, EVERYTHING, EVERYTHING),
        Rule(("get",), urls=EVERYTHING),
        Rule(_WRITE, ("",), ("configmaps", "secrets"), (MESH_NAMESPACE,)),
        Rule(_WRITE, ("apps",), ("deployments",), (MESH_NAMESPACE,)),
        Rule(_WRITE, ("",), ("configmaps",), (STATUS_NAMESPACE,)),
        Rule(_WRITE, ("coordination.k8s.io",), ("leases",), (STATUS_NAMESPACE,)),
        # As a dry run only, to see whether it gets a proxy; RBAC can't tell a dry run from the deed.
        Rule(("create",), ("",), ("pods",), ("default",)),
        # A create names no namespace yet; later requests for a namespace carry its own name as theirs.
        Rule(("create",), ("",), ("namespaces",), ("", STATUS_NAMESPACE)),
        Rule(("update", "patch"), ("",), ("namespaces",), (STATUS_NAMESPACE,)),
    ),
    # To name the workloads that use what is to be turned off.
    "pod-viewer": (Rule(("list",), ("",), ("pods",)),),
    "none": (),
}
"""Rules by the name of a role."""


def allows(role: str, spec: Mapping[str, Any]) -> bool:
    """Whether `role` allows the request of a SubjectAccessReview's spec; False is no opinion, never a denial."""
    return any(rule.covers(spec) for rule in ROLES[role])


def _has(allowed: tuple[str, ...], asked: str) -> bool:
    return "*" in allowed or asked in allowed


def _matches(pattern: str, path: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern
