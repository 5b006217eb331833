"""What a cluster holds of Linkerd's viz extension."""

from __future__ import annotations

import msgspec

from shared.mesh.snapshot.installation import Credential
from shared.mesh.snapshot.workloads import Condition, Pod


class ApiService(msgspec.Struct, frozen=True):
    """An APIService.

    Attributes:
        ca_bundle: spec.caBundle, base64 taken off.
        conditions: status.conditions.
    """

    ca_bundle: str
    conditions: tuple[Condition, ...] = ()


class VizPod(msgspec.Struct, frozen=True):
    """A pod of viz's namespace.

    Attributes:
        pod: the pod.
        proxied: whether it has a proxy's container.
        anchors: the trust bundle that its proxy was started with; None without a proxy that has one.
    """

    pod: Pod
    proxied: bool
    anchors: str | None


class Viz(msgspec.Struct, frozen=True, kw_only=True):
    """The extension, wherever it is.

    Attributes:
        namespace: the namespace labelled as viz's; the first of them.
        ours: whether byomesh made the namespace.
        external_prometheus: address of a Prometheus of the user's own; "" where viz has its own.
        left_out: the part that byomesh left out, because the cluster refuses it; "" where nothing is.
        cluster_roles, cluster_role_bindings: the names of all of the cluster.
        prometheus_config: whether the ConfigMap of viz's own Prometheus is there.
        pods: all pods of the namespace.
        tap: the APIService of tap; None where there is none.
        credentials: public parts of tap's TLS Secret, by the Secret's name.
    """

    namespace: str
    ours: bool = False
    external_prometheus: str = ""
    left_out: str = ""
    cluster_roles: tuple[str, ...] = ()
    cluster_role_bindings: tuple[str, ...] = ()
    prometheus_config: bool = False
    pods: tuple[VizPod, ...] = ()
    tap: ApiService | None = None
    credentials: dict[str, Credential] = {}

    @property
    def recorded(self) -> bool:
        """Whether anything of viz but its namespace is there: a recorded state may have left it out."""
        return bool(self.pods or self.tap is not None or self.credentials)
