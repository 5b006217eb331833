"""From what an API server dials to who is there: ClusterIP, Service, ready pods, and the Secret that is served with."""

from __future__ import annotations

import asyncio
import base64
import binascii
import dataclasses
import ipaddress
from collections.abc import Collection, Mapping
from typing import Any

from byomesh.local.inhabitants.reading import Json, Reader

SECRETS: Mapping[str, str] = {
    "linkerd-policy-validator": "linkerd-policy-validator-k8s-tls",
    "linkerd-proxy-injector": "linkerd-proxy-injector-k8s-tls",
    "linkerd-sp-validator": "linkerd-sp-validator-k8s-tls",
    "tap": "tap-k8s-tls",
    "tap-injector": "tap-injector-k8s-tls",
}
"""By Service, the Secret whose tls.crt and tls.key its pods serve with (templates/destination-rbac.yaml and
proxy-injector-rbac.yaml of linkerd2's charts/linkerd-control-plane; tap-rbac.yaml and tap-injector-rbac.yaml of
viz/charts/linkerd-viz)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Resident:
    """Who is there.

    Attributes:
        service: name of its Service, a key of `SECRETS`.
        namespace: the Service's.
        certificate: PEM.
        key: PEM.
    """

    service: str
    namespace: str
    certificate: bytes
    key: bytes = dataclasses.field(repr=False)

    @property
    def host(self) -> str:
        """The name that API servers ask for in the handshake and verify."""
        return f"{self.service}.{self.namespace}.svc"


class Whereabouts:
    """Finds who is there in one cluster.

    Args:
        reader: of the cluster.
        services: its range of ClusterIPs.
        blocked: the pods' ports that a firewall keeps from the control plane; looked at anew each time.
    """

    def __init__(self, reader: Reader, services: ipaddress.IPv4Network, blocked: Collection[int]) -> None:
        self._reader = reader
        self._services = services
        self._blocked = blocked

    async def find(self, target: str) -> Resident | str | None:
        """Who is at a `ClusterIP:port`; a reason where nobody answers; None where it isn't this part's business.

        Raises:
            ReadingError: the cluster couldn't be read.
        """
        address, _, number = target.rpartition(":")
        if not self._is_ours(address):
            return None
        services = await self._reader.items(f"/api/v1/services?fieldSelector=spec.clusterIP%3D{address}")
        service = next((one for one in services if one["metadata"]["name"] in SECRETS), None)
        if service is None:
            return None
        name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
        slices, secret = await asyncio.gather(
            self._reader.items(
                f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
                f"?labelSelector=kubernetes.io%2Fservice-name%3D{name}"
            ),
            self._reader.get(f"/api/v1/namespaces/{namespace}/secrets/{SECRETS[name]}"),
        )
        port = pod_port(service, number, slices)
        if port is None:
            return f"no pod of {namespace}/{name} is ready"
        if port in self._blocked:
            return f"port {port} of {namespace}/{name} is blocked by a firewall"
        pair = tls_pair(secret)
        if pair is None:
            return f"Secret {namespace}/{SECRETS[name]} has no tls.crt and tls.key"
        return Resident(name, namespace, *pair)

    def _is_ours(self, address: str) -> bool:
        try:
            return ipaddress.IPv4Address(address) in self._services
        except ValueError:
            return False


def pod_port(service: Mapping[str, Any], number: str, slices: list[Json]) -> int | None:
    """The pods' port behind a Service's port, if a pod with it is ready (EndpointSlice discovery.k8s.io/v1)."""
    names = [port.get("name") or "" for port in service["spec"].get("ports") or () if str(port["port"]) == number]
    for one in slices:
        if not any((endpoint.get("conditions") or {}).get("ready") for endpoint in one.get("endpoints") or ()):
            continue
        for port in one.get("ports") or ():
            if (port.get("name") or "") in names and port.get("port"):
                return int(port["port"])
    return None


def tls_pair(secret: Mapping[str, Any] | None) -> tuple[bytes, bytes] | None:
    """Certificate and key (PEM) of a Secret; None where either is missing or no base64."""
    data = (secret or {}).get("data") or {}
    try:
        certificate, key = (base64.b64decode(data.get(name) or "", validate=True) for name in ("tls.crt", "tls.key"))
    except binascii.Error:
        return None
    return (certificate, key) if certificate and key else None
