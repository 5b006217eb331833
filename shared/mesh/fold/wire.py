"""The fields that are read of Kubernetes objects, named and typed as the API does; everything else is skipped undecoded.

Fields of type Raw are decoded only for the few pods that need them.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

Raw = msgspec.Raw
NOTHING = msgspec.Raw()


class Wire(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A part of a Kubernetes object."""


class OwnerReference(Wire):
    """metadata.ownerReferences[]."""

    kind: str
    name: str
    controller: bool = False


class ManagedFields(Wire):
    """metadata.managedFields[]."""

    manager: str = ""


class Meta(Wire):
    """metadata of most objects."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    managed_fields: tuple[ManagedFields, ...] = ()


class PodMeta(Wire):
    """metadata of a pod."""

    name: str
    namespace: str
    labels: dict[str, str] = {}
    owner_references: Raw = NOTHING


class PodSpec(Wire):
    """spec of a pod."""

    host_network: bool = False
    init_containers: Raw = NOTHING
    containers: Raw = NOTHING


class PodStatus(Wire):
    """status of a pod."""

    phase: str = ""
    reason: str = ""
    pod_ip: str = msgspec.field(default="", name="podIP")
    conditions: Raw = NOTHING
    init_container_statuses: Raw = NOTHING
    container_statuses: Raw = NOTHING


class Pod(Wire):
    """A pod."""

    metadata: PodMeta
    spec: PodSpec
    status: PodStatus = PodStatus()


class EnvVar(Wire):
    """env[] of a container."""

    name: str
    value: str = ""


class Container(Wire):
    """spec.containers[] or spec.initContainers[]."""

    name: str
    image: str = ""
    args: tuple[str, ...] = ()
    env: tuple[EnvVar, ...] = ()
    restart_policy: str = ""


class Waiting(Wire):
    """state.waiting."""

    reason: str = ""


class Running(Wire):
    """state.running."""


class Terminated(Wire):
    """state.terminated."""

    exit_code: int = 0
    signal: int = 0
    reason: str = ""


class State(Wire):
    """state of a container status."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(Wire):
    """status.containerStatuses[] or status.initContainerStatuses[]."""

    name: str
    ready: bool = False
    started: bool | None = None
    state: State = State()


class ServiceMeta(Wire):
    """metadata of a Service."""

    name: str
    namespace: str
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class ServiceSpec(Wire):
    """spec of a Service."""

    cluster_ip: str = msgspec.field(default="", name="clusterIP")


class Service(Wire):
    """A Service."""

    metadata: ServiceMeta
    spec: ServiceSpec = ServiceSpec()


class NodeSpec(Wire):
    """spec of a node."""

    pod_cidr: str = msgspec.field(default="", name="podCIDR")


class NodeInfo(Wire):
    """status.nodeInfo of a node."""

    container_runtime_version: str = ""


class NodeStatus(Wire):
    """status of a node."""

    node_info: NodeInfo = NodeInfo()


class Node(Wire):
    """A node."""

    metadata: Meta
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


class Object(Wire):
    """Any object of which only the metadata matters."""

    metadata: Meta


class Condition(Wire):
    """status.conditions[]."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


class WorkloadStatus(Wire):
    """status of a Deployment or ReplicaSet."""

    observed_generation: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    conditions: tuple[Condition, ...] = ()


class TemplateSpec(Wire):
    """spec.template.spec of a Deployment."""

    init_containers: tuple[Container, ...] = ()
    containers: tuple[Container, ...] = ()


class Template(Wire):
    """spec.template of a Deployment."""

    spec: TemplateSpec = TemplateSpec()


class WorkloadSpec(Wire):
    """spec of a Deployment or ReplicaSet; replicas defaults to 1 in the API."""

    replicas: int = 1
    template: Template = Template()


class Workload(Wire):
    """A Deployment or ReplicaSet."""

    metadata: Meta
    spec: WorkloadSpec = WorkloadSpec()
    status: WorkloadStatus = WorkloadStatus()


class CronJobSpec(Wire):
    """spec of a CronJob."""

    schedule: str = ""
    suspend: bool = False


class CronJob(Wire):
    """A CronJob."""

    metadata: Meta
    spec: CronJobSpec = CronJobSpec()


class DaemonSetStatus(Wire):
    """status of a DaemonSet."""

    desired_number_scheduled: int = 0
    number_ready: int = 0


class DaemonSet(Wire):
    """A DaemonSet."""

    metadata: Meta
    status: DaemonSetStatus = DaemonSetStatus()


class CrdVersion(Wire):
    """spec.versions[] of a CustomResourceDefinition."""

    name: str


class CrdSpec(Wire):
    """spec of a CustomResourceDefinition."""

    versions: tuple[CrdVersion, ...] = ()


class Crd(Wire):
    """A CustomResourceDefinition."""

    metadata: Meta
    spec: CrdSpec = CrdSpec()


class ClientConfig(Wire):
    """webhooks[].clientConfig; base64 is taken off while decoding."""

    ca_bundle: bytes = b""


class Webhook(Wire):
    """webhooks[] of a webhook configuration."""

    client_config: ClientConfig = ClientConfig()


class Webhooks(Wire):
    """A mutating or validating webhook configuration."""

    metadata: Meta
    webhooks: tuple[Webhook, ...] = ()


class ConfigMap(Wire):
    """A ConfigMap."""

    metadata: Meta
    data: dict[str, str] = {}


class Secret(Wire):
    """A Secret; base64 is taken off while decoding."""

    metadata: Meta
    data: dict[str, bytes] = {}


T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """One page of a list."""

    items: tuple[T, ...] | None = None
