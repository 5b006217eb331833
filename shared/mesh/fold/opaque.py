"""Opaque ports: what a Service and the pods behind it say of them.

Services come first, then pods, then Endpoints. Of the pods only those are kept that could be misconfigured: they have
the annotation, or a Service that selects them has it. Source: linkerd2 pkg/healthcheck/healthcheck.go,
misconfiguredOpaqueAnnotation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from shared.mesh.fold import names, wire
from shared.mesh.snapshot import SHOWN, OpaqueFold

_CONTAINERS = msgspec.json.Decoder(tuple[wire.Ported, ...])
_PORTS = msgspec.json.Decoder(tuple[wire.ServicePort, ...])
_CONDITIONS = msgspec.json.Decoder(tuple[wire.Status, ...])
_INTEGER = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII)
"""More digits than Go's numbers have; it can't convert longer ones either."""
_HEADLESS = "None"
_API_SERVER = ("default", "kubernetes")
"""The one Service without a selector that the API server writes Endpoints for."""


class _Service(NamedTuple):
    name: str
    selector: Mapping[str, str]
    opaque: tuple[str, ...] | None
    ports: tuple[wire.ServicePort, ...]


class _Pod(NamedTuple):
    name: str
    labels: Mapping[str, str]
    opaque: tuple[str, ...] | None
    ports: tuple[wire.ContainerPort, ...]
    ready: bool


class OpaquePorts:
    """Folds Services, then pods, then Endpoints; grows with the Services and with the pods that could stand out."""

    def __init__(self) -> None:
        self._services: dict[tuple[str, str], _Service] = {}
        self._watched: dict[str, list[_Service]] = {}
        """By namespace, the Services for whose sake a pod is kept: annotated ones, and those of unknown pods."""
        self._pods: dict[tuple[str, str], _Pod] = {}
        self._seen: set[tuple[str, str]] = set()
        self._absent = ""
        self._count = 0
        self._first: list[str] = []

    def add_service(self, service: wire.Service) -> None:
        """Fold one Service; headless ones count for nothing here. Raises msgspec.DecodeError."""
        metadata, spec = service.metadata, service.spec
        if spec.cluster_ip == _HEADLESS:
            return
        found = _Service(
            metadata.name, spec.selector, _opaque(metadata.annotations), _PORTS.decode(spec.ports or b"[]")
        )
        self._services[metadata.namespace, metadata.name] = found
        if found.opaque is not None or not spec.selector:
            self._watched.setdefault(metadata.namespace, []).append(found)

    def add_pod(self, pod: wire.Pod) -> None:
        """Fold one pod; raises msgspec.DecodeError."""
        metadata = pod.metadata
        opaque = _opaque(metadata.annotations)
        watched = self._watched.get(metadata.namespace, ())
        if opaque is None and not any(_selects(service.selector, metadata.labels) for service in watched):
            return
        raw = (pod.spec.init_containers, pod.spec.containers)
        ports = tuple(
            port for part in raw for container in _CONTAINERS.decode(part or b"[]") for port in container.ports
        )
        conditions = _CONDITIONS.decode(pod.status.conditions or b"[]")
        ready = any(one.type == "Ready" and one.status == "True" for one in conditions)
        self._pods[metadata.namespace, metadata.name] = _Pod(metadata.name, metadata.labels, opaque, ports, ready)

    def add_endpoints(self, endpoints: wire.Endpoints) -> None:
        """Fold one Service's Endpoints."""
        namespace, name = endpoints.metadata.namespace, endpoints.metadata.name
        self._seen.add((namespace, name))
        service = self._services.get((namespace, name))
        if service is None:
            return
        for target in dict.fromkeys(_targets(endpoints)):
            pod = self._pods.get((namespace, target))
            if pod is not None:
                self._judge(service, pod)
            elif not service.selector:
                self._absent = self._absent or f'pod "{target}" not found'

    def _judge(self, service: _Service, pod: _Pod) -> None:
        fault = _misconfigured(service, pod)
        if fault:
            self._count += 1
            if len(self._first) < SHOWN:
                self._first.append(fault)

    def fold(self) -> OpaqueFold:
        """What was folded; call it once.

        A recorded state may have no Endpoints at all: then a Service's pods are the ready ones that it selects.
        """
        if not self._seen:
            self._select()
        missing = (name for (namespace, name) in self._services if (namespace, name) not in self._seen)
        first = next(missing, None)
        absent = self._absent if first is None else f'endpoints "{first}" not found'
        return OpaqueFold(absent, self._count, tuple(self._first))

    def _select(self) -> None:
        for (namespace, name), service in self._services.items():
            if (namespace, name) == _API_SERVER:
                self._seen.add((namespace, name))
            if not service.selector:
                continue
            self._seen.add((namespace, name))
            for (within, _), pod in self._pods.items():
                if within == namespace and pod.ready and _selects(service.selector, pod.labels):
                    self._judge(service, pod)


def _opaque(annotations: Mapping[str, str]) -> tuple[str, ...] | None:
    text = annotations.get(names.OPAQUE_PORTS)
    return None if text is None else tuple(text.split(","))


def _selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in selector.items())


def _targets(endpoints: wire.Endpoints) -> Iterator[str]:
    for subset in endpoints.subsets or ():
        for address in subset.addresses or ():
            if address.target_ref is not None and address.target_ref.kind == "Pod":
                yield address.target_ref.name


def _misconfigured(service: _Service, pod: _Pod) -> str:
    """The CLI's sentence about a Service and a pod behind it; "" where they agree."""
    ours, theirs = service.opaque or (), pod.opaque or ()
    for text in ours:
        if not _INTEGER.fullmatch(text):
            return f"failed to convert {text} to port number for pod {pod.name}"
        if fault := _unmarked_on_pod(service, pod, theirs, int(text)):
            return fault
    for text in theirs:
        if text in ours:
            continue
        if not _INTEGER.fullmatch(text):
            return f"failed to convert {text} to port number for pod {pod.name}"
        by_number = _unmarked_by_number(service, ours, int(text))
        fault = _unmarked_by_name(service, pod, ours, int(text)) if by_number is None else by_number
        if fault:
            return fault
    return ""


def _unmarked_on_pod(service: _Service, pod: _Pod, theirs: tuple[str, ...], port: int) -> str:
    """A Service's opaque port whose target isn't opaque on the pod."""
    for one in service.ports:
        if one.port != port:
            continue
        for exposed in pod.ports:
            # A port without a name matches a target that is a number: so has the CLI it (Go's empty StrVal).
            if exposed.container_port == one.number or exposed.name == one.target_name:
                target = str(exposed.container_port if one.is_named else one.number)
                if target in theirs:
                    return ""
                return (
                    f"service {service.name} expects target port {target} to be opaque; "
                    f"add it to pod {pod.name} {names.OPAQUE_PORTS} annotation"
                )
    return ""


def _unmarked_by_number(service: _Service, ours: tuple[str, ...], port: int) -> str | None:
    """A pod's opaque port that a Service targets by number without marking it; None where it doesn't target it so."""
    for one in service.ports:
        if not one.is_named and one.number == 0 and one.port == port:
            return (
                f"service {service.name} targets the opaque port {port}; add it to its {names.OPAQUE_PORTS} annotation"
            )
        if one.number == port:
            if str(one.port) in ours:
                return ""
            return (
                f"service {service.name} targets the opaque port {port} through {one.port}; "
                f"add {one.port} to its {names.OPAQUE_PORTS} annotation"
            )
    return None


def _unmarked_by_name(service: _Service, pod: _Pod, ours: tuple[str, ...], port: int) -> str:
    """A pod's opaque port that a Service targets by name without marking it."""
    for one in service.ports:
        for exposed in pod.ports if one.target_name else ():
            if exposed.container_port == port and exposed.name == one.target_name:
                if str(one.port) in ours:
                    return ""
                return (
                    f"service {service.name} targets the opaque port {exposed.name} through {one.port}; "
                    f"add {one.port} to its {names.OPAQUE_PORTS} annotation"
                )
    return ""
