"""Which kinds a stand-in serves, and what API discovery says of them; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

Json = dict[str, Any]


class Kind(msgspec.Struct, frozen=True):
    """A kind of one API version.

    Attributes:
        group: "" for the core group.
        version: such as `v1`.
        plural: as paths have it.
        kind: as objects have it.
        namespaced: whether its objects are in namespaces.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """As objects have it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def root(self) -> str:
        """The beginning of its paths."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"


def _of(group: str, namespaced: str, cluster: str = "") -> list[Kind]:
    """Kinds of a group's v1, written `plural=Kind`."""
    found = []
    for words, inside in ((namespaced, True), (cluster, False)):
        for word in words.split():
            plural, _, kind = word.partition("=")
            found.append(Kind(group, "v1", plural, kind, inside))
    return found


BUILT_IN: tuple[Kind, ...] = (
    *_of(
        "",
        "configmaps=ConfigMap endpoints=Endpoints events=Event limitranges=LimitRange pods=Pod "
        "replicationcontrollers=ReplicationController resourcequotas=ResourceQuota secrets=Secret "
        "serviceaccounts=ServiceAccount services=Service",
        "namespaces=Namespace nodes=Node",
    ),
    *_of("apps", "daemonsets=DaemonSet deployments=Deployment replicasets=ReplicaSet statefulsets=StatefulSet"),
    *_of("batch", "cronjobs=CronJob jobs=Job"),
    *_of("coordination.k8s.io", "leases=Lease"),
    *_of("networking.k8s.io", "networkpolicies=NetworkPolicy", "servicecidrs=ServiceCIDR"),
    *_of("policy", "poddisruptionbudgets=PodDisruptionBudget"),
    *_of(
        "rbac.authorization.k8s.io",
        "rolebindings=RoleBinding roles=Role",
        "clusterrolebindings=ClusterRoleBinding clusterroles=ClusterRole",
    ),
    *_of("scheduling.k8s.io", "", "priorityclasses=PriorityClass"),
    *_of(
        "admissionregistration.k8s.io",
        "",
        "mutatingwebhookconfigurations=MutatingWebhookConfiguration "
        "validatingwebhookconfigurations=ValidatingWebhookConfiguration",
    ),
    *_of("apiextensions.k8s.io", "", "customresourcedefinitions=CustomResourceDefinition"),
    *_of("apiregistration.k8s.io", "", "apiservices=APIService"),
)
_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


def defined_by(definition: Mapping[str, Any]) -> Iterable[Kind]:
    """The kinds that a CustomResourceDefinition adds."""
    spec = definition["spec"]
    names, namespaced = spec["names"], spec.get("scope") == "Namespaced"
    for version in spec.get("versions") or ():
        if version.get("served", True):
            yield Kind(spec["group"], version["name"], names["plural"], names["kind"], namespaced)


def resource_list(kinds: Iterable[Kind], root: str) -> Json | None:
    """What `GET /api/v1` or `GET /apis/GROUP/VERSION` answers; None where nothing is there."""
    found = [one for one in kinds if one.root == root]
    if not found:
        return None
    resources = [
        {"name": one.plural, "singularName": one.kind.lower(), "kind": one.kind, "namespaced": one.namespaced}
        | {"verbs": _VERBS}
        for one in found
    ]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": found[0].api_version,
        "resources": resources,
    }


def discovery(kinds: Iterable[Kind], *, core: bool) -> Json:
    """Aggregated discovery (apidiscovery.k8s.io/v2) of the core group, or of all others."""
    groups: dict[str, dict[str, list[Json]]] = {}
    for one in kinds:
        if (one.group == "") == core:
            response = {"group": one.group, "version": one.version, "kind": one.kind}
            resource = {
                "resource": one.plural,
                "responseKind": response,
                "scope": "Namespaced" if one.namespaced else "Cluster",
                "singularResource": one.kind.lower(),
                "verbs": _VERBS,
            }
            groups.setdefault(one.group, {}).setdefault(one.version, []).append(resource)
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": group} if group else {},
                "versions": [
                    {"version": version, "resources": resources, "freshness": "Current"}
                    for version, resources in versions.items()
                ],
            }
            for group, versions in groups.items()
        ],
    }
