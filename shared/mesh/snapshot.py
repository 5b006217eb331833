"""What a cluster holds, as far as the checks and the planner ask: frozen data, no client, no secret.

Everything that grows with the cluster's pods and Services is folded: counts, and the first `SHOWN` of what stands out, in
the API server's own order, so that the first is the one that `linkerd check` names.
"""

from __future__ import annotations

from typing import Any

import msgspec

SHOWN = 100
"""How many of the pods or Services that stand out a snapshot keeps by name."""


class Uncovered(msgspec.Struct, frozen=True):
    """A pod or Service whose address lies outside clusterNetworks.

    Attributes:
        namespace: its namespace.
        name: its name.
        ip: pod: status.podIP; Service: spec.clusterIP.
    """

    namespace: str
    name: str
    ip: str


class AddressFold(msgspec.Struct, frozen=True):
    """All pods or all Services, against clusterNetworks.

    Attributes:
        total: how many there are.
        judged: how many have an address that has to be covered (no host network, no headless Service).
        uncovered: how many of these lie outside; 0 where clusterNetworks can't be read.
        first: the first `SHOWN` of them.
    """

    total: int = 0
    judged: int = 0
    uncovered: int = 0
    first: tuple[Uncovered, ...] = ()


class Node(msgspec.Struct, frozen=True):
    """A node.

    Attributes:
        name: its name.
        pod_cidr: spec.podCIDR, "" where the provider sets none.
        runtime: status.nodeInfo.containerRuntimeVersion, such as `containerd://2.1.4`.
    """

    name: str
    pod_cidr: str = ""
    runtime: str = ""


class Named(msgspec.Struct, frozen=True):
    """An object of which only the name and what is written on it matter."""

    name: str
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Condition(msgspec.Struct, frozen=True):
    """A status condition, its fields named as in the Kubernetes API."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


class Container(msgspec.Struct, frozen=True):
    """A container's status: name and readiness."""

    name: str
    ready: bool


class Pod(msgspec.Struct, frozen=True, kw_only=True):
    """A pod of the control plane.

    Attributes:
        namespace, name, labels: as in its metadata.
        phase: status.phase.
        status: the word that `kubectl get pods` shows.
        conditions: status.conditions.
        containers: status.containerStatuses; native sidecars and init containers are not among them.
        proxy_ready: whether its proxy container (a native sidecar too) is ready.
        proxy_version: tag of the proxy's image; "" where there is no proxy or only a digest.
    """

    namespace: str
    name: str
    labels: dict[str, str] = {}
    phase: str = ""
    status: str = ""
    conditions: tuple[Condition, ...] = ()
    containers: tuple[Container, ...] = ()
    proxy_ready: bool = False
    proxy_version: str = ""


class HeldNetworks(msgspec.Struct, frozen=True):
    """A copy of clusterNetworks in a Deployment's pod template.

    Attributes:
        container: the container's name.
        init: whether it is among the initContainers (as a native sidecar is).
        name: the environment variable, or `--cluster-networks`.
        value: the copy.
    """

    container: str
    init: bool
    name: str
    value: str


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """A Deployment of the mesh's own namespace; counts are its status's, `wanted` is spec.replicas."""

    name: str
    labels: dict[str, str] = {}
    wanted: int = 1
    updated: int = 0
    ready: int = 0
    available: int = 0
    generation: int = 0
    observed_generation: int = 0
    conditions: tuple[Condition, ...] = ()
    networks: tuple[HeldNetworks, ...] = ()


class ReplicaSet(msgspec.Struct, frozen=True, kw_only=True):
    """A ReplicaSet of the mesh's own namespace."""

    name: str
    wanted: int = 0
    ready: int = 0
    conditions: tuple[Condition, ...] = ()


class CronJob(msgspec.Struct, frozen=True):
    """A CronJob of the mesh's own namespace."""

    name: str
    schedule: str
    suspended: bool = False


class Crd(msgspec.Struct, frozen=True):
    """A CustomResourceDefinition.

    Attributes:
        name: such as `servers.policy.linkerd.io`.
        versions: names of spec.versions, in order.
        labels, annotations: as in its metadata.
    """

    name: str
    versions: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Webhooks(msgspec.Struct, frozen=True):
    """A mutating or validating webhook configuration.

    Attributes:
        name: its name.
        ca_bundles: clientConfig.caBundle of each webhook as PEM, "" where it has none.
        labels: as in its metadata.
    """

    name: str
    ca_bundles: tuple[str, ...]
    labels: dict[str, str] = {}


class PublicKey(msgspec.Struct, frozen=True):
    """The public half of a private key that a Secret holds; the private half stays behind.

    Attributes:
        spki: DER SubjectPublicKeyInfo; b"" where the key can't be read.
        fault: why it can't, else "".
    """

    spki: bytes = b""
    fault: str = ""


class Credential(msgspec.Struct, frozen=True):
    """The public part of a TLS Secret.

    Attributes:
        secret: the Secret's name.
        certificates: its entries that are certificates, as PEM, by key (`tls.crt`, `crt.pem`, `ca.crt`).
        keys: the public halves of its entries that are private keys, by key (`tls.key`, `key.pem`).
    """

    secret: str
    certificates: dict[str, str] = {}
    keys: dict[str, PublicKey] = {}


class MeshConfig(msgspec.Struct, frozen=True, kw_only=True):
    """ConfigMap linkerd-config.

    Attributes:
        uid: its UID, which is the installation's own id.
        resource_version: for a conditional write.
        values: the chart's values, private keys taken out; None where there are none, with `fault` saying why.
        fault: "" or why `values` is None, in the words of `linkerd check` as far as it has any.
        networks: clusterNetworks as it is written; None where `values` is None.
        labels, annotations: as in its metadata (Helm's ownership is there).
        managers: metadata.managedFields[].manager, without duplicates, in order.
    """

    uid: str
    resource_version: str
    values: dict[str, Any] | None = None
    fault: str = ""
    networks: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    managers: tuple[str, ...] = ()


class Overrides(msgspec.Struct, frozen=True):
    """Secret linkerd-config-overrides, which a CLI installation reads at its next upgrade; nothing else of it is kept.

    Attributes:
        resource_version: for a conditional write.
        networks: clusterNetworks as overridden; None where it isn't.
    """

    resource_version: str
    networks: str | None = None


class Cni(msgspec.Struct, frozen=True):
    """What linkerd-cni has in the cluster, where the values say that it is used.

    Attributes:
        config, cluster_role, cluster_role_binding, service_account: whether each exists.
        scheduled, ready: the DaemonSet's status numbers; None where there is no DaemonSet.
    """

    config: bool = False
    cluster_role: bool = False
    cluster_role_binding: bool = False
    service_account: bool = False
    scheduled: int | None = None
    ready: int | None = None


class MeshedPod(msgspec.Struct, frozen=True):
    """A meshed pod that stands out.

    Attributes:
        namespace, name: the pod's.
        why: what stands out: its status, its version, its networks, its labels, by where it is listed.
        owner: `Kind/name` of the controller that made it, "" for a bare pod.
    """

    namespace: str
    name: str
    why: str
    owner: str = ""


class Standouts(msgspec.Struct, frozen=True):
    """How many stand out, and the first `SHOWN` of them."""

    count: int = 0
    first: tuple[MeshedPod, ...] = ()


class ProxyVersion(msgspec.Struct, frozen=True):
    """The running proxies of one version."""

    version: str
    pods: Standouts


class ProxyFold(msgspec.Struct, frozen=True, kw_only=True):
    """All pods that carry the control plane's label, in all namespaces.

    Attributes:
        total: how many there are, the control plane's own too.
        failing: those neither finished nor running with a ready proxy; `why` is the sentence of `linkerd check --proxy`.
        versions: running proxies by version, in order of first sight.
        stale: those outside the control plane whose proxy was started with other clusterNetworks; `why` is their value.
        distrusting: those outside the control plane whose trust bundle is not the current one.
        mislabelled: those with labels that should be annotations; `why` lists the labels, tab-indented lines.
    """

    total: int = 0
    failing: Standouts = Standouts()
    versions: tuple[ProxyVersion, ...] = ()
    stale: Standouts = Standouts()
    distrusting: Standouts = Standouts()
    mislabelled: Standouts = Standouts()


class ServiceFold(msgspec.Struct, frozen=True):
    """Services whose metadata is wrong for the mesh: `why` lists the labels or annotations, tab-indented lines."""

    mislabelled: Standouts = Standouts()
    misannotated: Standouts = Standouts()


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
        mesh_pods: all pods in the mesh's own namespace.
        deployments, replica_sets, cron_jobs, service_accounts: what the mesh's own namespace has of each.
        cluster_roles, cluster_role_bindings: those labelled as a Linkerd control plane's.
        crds: those of `observe.CRDS` that exist.
        mutating_webhooks, validating_webhooks: all webhook configurations of the cluster.
        credentials: public parts of the TLS Secrets that exist, by the Secret's name.
        cni: linkerd-cni; None where the values don't use it.
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
