"""The fields that are read of objects other than pods and Services, named and typed as the Kubernetes API does."""

from __future__ import annotations

import msgspec

from shared.mesh.fold.wire import Container
from shared.mesh.snapshot import LabelSelector


class Kind(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A part of a Kubernetes object."""


class ManagedFields(Kind, frozen=True):
    """metadata.managedFields[]."""

    manager: str = ""


class Meta(Kind, frozen=True):
    """metadata of most objects."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    managed_fields: tuple[ManagedFields, ...] = ()


class NodeSpec(Kind, frozen=True):
    """spec of a node."""

    pod_cidr: str = msgspec.field(default="", name="podCIDR")


class NodeInfo(Kind, frozen=True):
    """status.nodeInfo of a node."""

    container_runtime_version: str = ""


class NodeStatus(Kind, frozen=True):
    """status of a node."""

    node_info: NodeInfo = NodeInfo()


class Node(Kind, frozen=True):
    """A node."""

    metadata: Meta
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


class Object(Kind, frozen=True):
    """Any object of which only the metadata matters."""

    metadata: Meta


class Condition(Kind, frozen=True):
    """status.conditions[]."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


class WorkloadStatus(Kind, frozen=True):
    """status of a Deployment or ReplicaSet."""

    observed_generation: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    conditions: tuple[Condition, ...] = ()


class TemplateSpec(Kind, frozen=True):
    """spec.template.spec of a Deployment."""

    init_containers: tuple[Container, ...] = ()
    containers: tuple[Container, ...] = ()


class Template(Kind, frozen=True):
    """spec.template of a Deployment."""

    spec: TemplateSpec = TemplateSpec()


class WorkloadSpec(Kind, frozen=True):
    """spec of a Deployment or ReplicaSet; replicas defaults to 1 in the API."""

    replicas: int = 1
    template: Template = Template()


class Workload(Kind, frozen=True):
    """A Deployment or ReplicaSet."""

    metadata: Meta
    spec: WorkloadSpec = WorkloadSpec()
    status: WorkloadStatus = WorkloadStatus()


class CronJobSpec(Kind, frozen=True):
    """spec of a CronJob."""

    schedule: str = ""
    suspend: bool = False


class CronJob(Kind, frozen=True):
    """A CronJob."""

    metadata: Meta
    spec: CronJobSpec = CronJobSpec()


class DaemonSetStatus(Kind, frozen=True):
    """status of a DaemonSet."""

    desired_number_scheduled: int = 0
    number_ready: int = 0


class DaemonSet(Kind, frozen=True):
    """A DaemonSet."""

    metadata: Meta
    status: DaemonSetStatus = DaemonSetStatus()


class CrdVersion(Kind, frozen=True):
    """spec.versions[] of a CustomResourceDefinition."""

    name: str


class CrdSpec(Kind, frozen=True):
    """spec of a CustomResourceDefinition."""

    versions: tuple[CrdVersion, ...] = ()


class Crd(Kind, frozen=True):
    """A CustomResourceDefinition."""

    metadata: Meta
    spec: CrdSpec = CrdSpec()


class ClientConfig(Kind, frozen=True):
    """webhooks[].clientConfig; base64 is taken off while decoding."""

    ca_bundle: bytes = b""


class Webhook(Kind, frozen=True):
    """webhooks[] of a webhook configuration."""

    client_config: ClientConfig = ClientConfig()
    namespace_selector: LabelSelector = LabelSelector()
    object_selector: LabelSelector = LabelSelector()


class Webhooks(Kind, frozen=True):
    """A mutating or validating webhook configuration."""

    metadata: Meta
    webhooks: tuple[Webhook, ...] = ()


class ConfigMap(Kind, frozen=True):
    """A ConfigMap."""

    metadata: Meta
    data: dict[str, str] = {}


class Secret(Kind, frozen=True):
    """A Secret; base64 is taken off while decoding."""

    metadata: Meta
    data: dict[str, bytes] = {}
