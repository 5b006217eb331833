"""Nodes, and the workloads of the mesh's own namespace."""

from __future__ import annotations

import msgspec


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
