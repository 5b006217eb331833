"""What a cluster holds, as far as the checks and the planner ask: frozen data, no client, no secret.

Everything that grows with the cluster's pods and Services is folded: counts, and the first `SHOWN` of what stands out,
in the API server's own order, so that the first is the one that `linkerd check` names.
"""

from __future__ import annotations

import msgspec

from shared.mesh.snapshot.admission import Admission, Admitted
from shared.mesh.snapshot.folds import (
    SHOWN,
    AddressFold,
    MeshedPod,
    OpaqueFold,
    ProxyFold,
    ProxyVersion,
    ServiceFold,
    Standouts,
    Uncovered,
)
from shared.mesh.snapshot.installation import (
    Cni,
    Crd,
    Credential,
    LabelSelector,
    MeshConfig,
    Overrides,
    PublicKey,
    Requirement,
    Webhooks,
)
from shared.mesh.snapshot.owners import WORKLOADS, Outdated, Workload, Workloads
from shared.mesh.snapshot.viz import Viz
from shared.mesh.snapshot.workloads import (
    Condition,
    Container,
    CronJob,
    Deployment,
    HeldNetworks,
    Named,
    Node,
    Pod,
    ReplicaSet,
)

__all__ = [
    "SHOWN",
    "WORKLOADS",
    "AddressFold",
    "Admission",
    "Admitted",
    "Cni",
    "Condition",
    "Container",
    "Crd",
    "Credential",
    "CronJob",
    "Deployment",
    "HeldNetworks",
    "LabelSelector",
    "MeshConfig",
    "MeshSnapshot",
    "MeshedPod",
    "Named",
    "Node",
    "OpaqueFold",
    "Outdated",
    "Overrides",
    "Pod",
    "ProxyFold",
    "ProxyVersion",
    "PublicKey",
    "ReplicaSet",
    "Requirement",
    "ServiceFold",
    "Standouts",
    "Uncovered",
    "Viz",
    "Webhooks",
    "Workload",
    "Workloads",
]


class MeshSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster at one moment.

    Attributes:
        namespace: the mesh's own namespace.
        config: ConfigMap linkerd-config; None where there is none.
        trust_roots: ca-bundle.crt of ConfigMap linkerd-identity-trust-roots; None without the ConfigMap.
        overrides: Secret linkerd-config-overrides; None where there is none.
        namespaces: all namespaces with their labels and annotations.
        nodes: all nodes.
        pods: all pods of the cluster, folded.
        services: all Services of the cluster, folded.
        service_metadata: all Services' labels and annotations, folded.
        proxies: all meshed pods of the cluster, folded.
        outdated: meshed workloads outside the control plane whose running proxies have another version, other
            clusterNetworks or other trust anchors than a new proxy would have; reasons are `Outdated`.
        unmeshed: workloads that are to have proxies and run without; reasons say where that is written, `namespace` or
            `pod`.
        unrequested: meshed workloads, the control plane's too, whose author left requests to others; reasons are
            containers, as `NAME: cpu, memory`.
        opaque_ports: all Services and the pods behind them, folded; None where they weren't asked about.
        admission: the end of a dry run of a pod that should get a proxy; None where none was made.
        mesh_pods: all pods in the mesh's own namespace.
        deployments, replica_sets, cron_jobs, service_accounts: what the mesh's own namespace has of each.
        cluster_roles, cluster_role_bindings: those labelled as a Linkerd control plane's.
        crds: those of `shared.mesh.observe.CRDS` that exist.
        mutating_webhooks, validating_webhooks: all webhook configurations of the cluster.
        credentials: public parts of the TLS Secrets that exist, by the Secret's name.
        cni: linkerd-cni; None where the values don't use it.
        viz: the viz extension; None where no namespace is labelled as its own.
    """

    namespace: str = "linkerd"
    config: MeshConfig | None = None
    trust_roots: str | None = None
    overrides: Overrides | None = None
    namespaces: tuple[Named, ...] = ()
    nodes: tuple[Node, ...] = ()
    pods: AddressFold = AddressFold()
    services: AddressFold = AddressFold()
    service_metadata: ServiceFold = ServiceFold()
    proxies: ProxyFold = ProxyFold()
    outdated: Workloads = Workloads()
    unmeshed: Workloads = Workloads()
    unrequested: Workloads = Workloads()
    opaque_ports: OpaqueFold | None = None
    admission: Admission | None = None
    mesh_pods: tuple[Pod, ...] = ()
    deployments: tuple[Deployment, ...] = ()
    replica_sets: tuple[ReplicaSet, ...] = ()
    cron_jobs: tuple[CronJob, ...] = ()
    service_accounts: tuple[Named, ...] = ()
    cluster_roles: tuple[Named, ...] = ()
    cluster_role_bindings: tuple[Named, ...] = ()
    crds: tuple[Crd, ...] = ()
    mutating_webhooks: tuple[Webhooks, ...] = ()
    validating_webhooks: tuple[Webhooks, ...] = ()
    credentials: dict[str, Credential] = {}
    cni: Cni | None = None
    viz: Viz | None = None
