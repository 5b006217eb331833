"""What is needed of GKE's own messages, and the way to a control plane; pure."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
from collections.abc import Iterable

from google.cloud import container_v1

from shared.cluster import Cluster, ControlPlaneAccess, is_dns_endpoint
from shared.errors import Permanent, shorten
from shared.model import ClusterRef


def read_cluster(ref: ClusterRef, found: container_v1.Cluster) -> Cluster:
    """What is needed of a google.container.v1.Cluster; pure."""
    ip = found.ip_allocation_policy
    pools = [pool.network_config.pod_ipv4_cidr_block for pool in found.node_pools]
    workload = found.autopilot.workload_policy_config
    return Cluster(
        ref=ref,
        status=name_of(found.status),
        status_message=shorten(found.status_message),
        autopilot=found.autopilot.enabled,
        # proto3 optional: an absent field reads as False too, and both mean that Warden says no.
        allow_net_admin="allow_net_admin" in workload and workload.allow_net_admin,
        labels=dict(found.resource_labels),
        etag=found.etag,
        version=found.current_master_version,
        release_channel=name_of(found.release_channel.channel),
        pod_ranges=_ranges(
            [found.cluster_ipv4_cidr, ip.cluster_ipv4_cidr_block, *pools, ip.subnet_ipv6_cidr_block],
        ),
        service_ranges=_ranges(
            [found.services_ipv4_cidr, ip.services_ipv4_cidr_block, ip.services_ipv6_cidr_block],
        ),
        access=choose_access(found),
        mesh_label=found.resource_labels.get("mesh_id", ""),
        created=_time(found.create_time),
    )


def _time(text: str) -> dt.datetime | None:
    """A time in RFC 3339, such as `2026-05-04T09:00:00+00:00`; None where GKE gives none that can be read."""
    try:
        read = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return read if read.tzinfo is not None else read.replace(tzinfo=dt.UTC)


def name_of(value: object) -> str:
    """An enum value's name; its number where the library is older than the API."""
    return str(getattr(value, "name", value))


def _ranges(cidrs: Iterable[str]) -> tuple[str, ...]:
    """The ranges among `cidrs`, each once, in their order; a bare netmask (`/14`, as in requests) is no range."""
    found: dict[str, None] = {}
    for cidr in cidrs:
        try:
            found[str(ipaddress.ip_network(cidr))] = None
        except ValueError:
            continue
    return tuple(found)


def choose_access(found: container_v1.Cluster) -> ControlPlaneAccess:
    """The way to the control plane: its DNS endpoint if that takes outside traffic, else its public address; pure."""
    endpoints = found.control_plane_endpoints_config
    dns = endpoints.dns_endpoint_config
    if dns.endpoint and dns.allow_external_traffic:
        return _access(dns.endpoint, found)
    public = _public_endpoint(found)
    if public and is_dns_endpoint(public):
        # With IP endpoints off, `endpoint` is the DNS name, which takes no outside traffic here.
        public = ""
    if public:
        return _access(public, found)
    if not found.endpoint and not dns.endpoint:
        return ControlPlaneAccess(endpoint="", private_only="GKE names no endpoint of the control plane (yet)")
    return ControlPlaneAccess(
        endpoint="",
        private_only=(
            "the control plane has no endpoint that takes traffic from outside its network; open the DNS endpoint "
            "(gcloud container clusters update NAME --enable-dns-access) and grant container.clusters.connect"
        ),
    )


def _public_endpoint(found: container_v1.Cluster) -> str:
    """The address that answers outside the cluster's network, or ""."""
    ip = found.control_plane_endpoints_config.ip_endpoints_config
    if "enabled" in ip and not ip.enabled:
        return ""
    if "enable_public_endpoint" in ip:
        return (ip.public_endpoint or found.endpoint) if ip.enable_public_endpoint else ""
    # Clusters from before control_plane_endpoints_config say the same in private_cluster_config.
    private = found.private_cluster_config
    if private.enable_private_endpoint:
        return ""
    return ip.public_endpoint or private.public_endpoint or found.endpoint


def _access(endpoint: str, found: container_v1.Cluster) -> ControlPlaneAccess:
    if is_dns_endpoint(endpoint):
        return ControlPlaneAccess(endpoint=endpoint)
    try:
        ca_pem = base64.b64decode(found.master_auth.cluster_ca_certificate, validate=True).decode("ascii")
    except ValueError as error:
        raise Permanent(
            "BadClusterCertificate",
            f"GKE's clusterCaCertificate of {shorten(found.name, 100)} can't be read: {error}",
            remedy="see `gcloud container clusters describe`; a cluster that is still being made has none",
        ) from error
    return ControlPlaneAccess(endpoint=endpoint, ca_pem=ca_pem or None)
