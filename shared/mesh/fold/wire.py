"""The fields that are read of Kubernetes objects, named and typed as the API does; all else is skipped undecoded.

Fields of type Raw are decoded only for the few pods that need them.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

Raw = msgspec.Raw
NOTHING = msgspec.Raw()


class Wire(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A part of a Kubernetes object."""


class OwnerReference(Wire, frozen=True):
    """metadata.ownerReferences[]."""

    kind: str
    name: str
    controller: bool = False


class PodMeta(Wire, frozen=True):
    """metadata of a pod."""

    name: str
    namespace: str
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    deletion_timestamp: str = ""
    owner_references: Raw = NOTHING


class PodSpec(Wire, frozen=True):
    """spec of a pod."""

    host_network: bool = False
    init_containers: Raw = NOTHING
    containers: Raw = NOTHING


class PodStatus(Wire, frozen=True):
    """status of a pod."""

    phase: str = ""
    reason: str = ""
    pod_ip: str = msgspec.field(default="", name="podIP")
    conditions: Raw = NOTHING
    init_container_statuses: Raw = NOTHING
    container_statuses: Raw = NOTHING


class Pod(Wire, frozen=True):
    """A pod."""

    metadata: PodMeta
    spec: PodSpec
    status: PodStatus = PodStatus()


class EnvVar(Wire, frozen=True):
    """env[] of a container."""

    name: str
    value: str = ""


class Resources(Wire, frozen=True):
    """resources of a container; quantities are only asked after."""

    requests: dict[str, Raw] = {}


class ContainerPort(Wire, frozen=True):
    """ports[] of a container."""

    container_port: int
    name: str = ""


class Container(Wire, frozen=True):
    """initContainers[] or containers[] of a Deployment's pod template."""

    name: str
    args: tuple[str, ...] = ()
    env: tuple[EnvVar, ...] = ()


class PodContainer(Wire, frozen=True):
    """spec.initContainers[] or spec.containers[] of a pod; of most, the many variables aren't asked about."""

    name: str
    image: str = ""
    env: Raw = NOTHING
    restart_policy: str = ""
    resources: Resources = Resources()


class Waiting(Wire, frozen=True):
    """state.waiting."""

    reason: str = ""


class Running(Wire, frozen=True):
    """state.running."""


class Terminated(Wire, frozen=True):
    """state.terminated."""

    exit_code: int = 0
    signal: int = 0
    reason: str = ""


class State(Wire, frozen=True):
    """state of a container status."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(Wire, frozen=True):
    """status.containerStatuses[] or status.initContainerStatuses[]."""

    name: str
    ready: bool = False
    started: bool | None = None
    state: State = State()


class ServiceMeta(Wire, frozen=True):
    """metadata of a Service."""

    name: str
    namespace: str
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class ServiceSpec(Wire, frozen=True):
    """spec of a Service."""

    cluster_ip: str = msgspec.field(default="", name="clusterIP")
    selector: dict[str, str] = {}
    ports: Raw = NOTHING


class ServicePort(Wire, frozen=True):
    """spec.ports[] of a Service; targetPort is Go's intstr.IntOrString."""

    port: int
    target_port: int | str = 0

    @property
    def is_named(self) -> bool:
        """Whether its target is a name."""
        return isinstance(self.target_port, str)

    @property
    def number(self) -> int:
        """The target's number; 0 where it is a name."""
        return self.target_port if isinstance(self.target_port, int) else 0

    @property
    def target_name(self) -> str:
        """The target's name; "" where it is a number."""
        return self.target_port if isinstance(self.target_port, str) else ""


class Ported(Wire, frozen=True):
    """A container of which only the ports matter."""

    ports: tuple[ContainerPort, ...] = ()


class Status(Wire, frozen=True):
    """A condition of which only the status matters."""

    type: str
    status: str


class TargetRef(Wire, frozen=True):
    """targetRef of an address."""

    kind: str = ""
    name: str = ""


class Address(Wire, frozen=True):
    """subsets[].addresses[] of Endpoints: a ready one."""

    target_ref: TargetRef | None = None


class Subset(Wire, frozen=True):
    """subsets[] of Endpoints."""

    addresses: tuple[Address, ...] | None = None


class ObjectMeta(Wire, frozen=True):
    """metadata of which only the name matters."""

    name: str
    namespace: str


class Endpoints(Wire, frozen=True):
    """A Service's Endpoints."""

    metadata: ObjectMeta
    subsets: tuple[Subset, ...] | None = None


class Service(Wire, frozen=True):
    """A Service."""

    metadata: ServiceMeta
    spec: ServiceSpec = ServiceSpec()


T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], gc=False):
    """One page of a list."""

    items: tuple[T, ...] | None = None
