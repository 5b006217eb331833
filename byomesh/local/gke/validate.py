"""What GKE answers before it starts anything: pure checks of a request against what there is, in GKE's words."""

from __future__ import annotations

import ipaddress
import re

import grpc
from google.cloud import container_v1

from byomesh.local.gke import state
from byomesh.local.rpc import RpcFailure, error_info
from shared.errors import Permanent
from shared.model import ClusterRef

DOMAIN = "container.googleapis.com"

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?")
_PARENT = re.compile(r"projects/([a-z0-9.:-]+)/(?:locations|zones|regions)/([a-z0-9-]+)")
_OPERATION = re.compile(r"projects/([a-z0-9.:-]+)/(?:locations|zones|regions)/([a-z0-9-]+)/operations/([a-z0-9-]+)")
_SUPPORTED_UPDATE = {"desired_autopilot_workload_policy_config", "etag"}


def cluster_name(text: str) -> ClusterRef:
    """The cluster that a request names; INVALID_ARGUMENT where it names none."""
    try:
        return ClusterRef.parse(text)
    except Permanent as error:
        raise _invalid(f'"name" field cannot be understood as a cluster: {text!r}.') from error


def parent(text: str) -> tuple[str, str]:
    """Project and location of a request's parent; the location may be `-` for all."""
    match = _PARENT.fullmatch(text)
    if match is None:
        raise _invalid(f'"parent" field cannot be understood as projects/*/locations/*: {text!r}.')
    return match[1], match[2]


def operation_name(text: str) -> tuple[str, str, str]:
    """Project, location and bare id of an operation's full name."""
    match = _OPERATION.fullmatch(text)
    if match is None:
        raise _invalid(f'"name" field cannot be understood as projects/*/locations/*/operations/*: {text!r}.')
    return match[1], match[2], match[3]


def new_cluster(asked: container_v1.Cluster) -> None:
    """Refuse a bad name, and ranges that are none or overlap, as INVALID_ARGUMENT."""
    if _NAME.fullmatch(asked.name) is None:
        raise _invalid(
            f'Invalid value for field "cluster.name": "{asked.name}". Must be a match of regex '
            "(?:[a-z](?:[-a-z0-9]{0,38}[a-z0-9])?) (only alphanumerics and dashes, at most 40 characters, starting "
            "with a letter and ending with an alphanumeric)."
        )
    policy = asked.ip_allocation_policy
    for field, cidr in (
        ("cluster.cluster_ipv4_cidr", asked.cluster_ipv4_cidr),
        ("cluster.services_ipv4_cidr", asked.services_ipv4_cidr),
        ("cluster.ip_allocation_policy.cluster_ipv4_cidr_block", policy.cluster_ipv4_cidr_block),
        ("cluster.ip_allocation_policy.services_ipv4_cidr_block", policy.services_ipv4_cidr_block),
    ):
        if cidr and not _is_range(cidr):
            raise _invalid(f'Invalid value for field "{field}": "{cidr}". Must be an IPv4 range in CIDR notation.')
    pods = policy.cluster_ipv4_cidr_block or asked.cluster_ipv4_cidr
    services = policy.services_ipv4_cidr_block or asked.services_ipv4_cidr or state.SERVICES_CIDR
    if pods and ipaddress.IPv4Network(pods).overlaps(ipaddress.IPv4Network(services)):
        raise _invalid(f"The pods' range {pods} and the Services' range {services} overlap.")


def update(cluster: state.LocalCluster, asked: container_v1.ClusterUpdate) -> None:
    """Refuse an update of nothing, of what this GKE doesn't do, of another etag, or of a Standard cluster's policy."""
    fields = {name for name in container_v1.ClusterUpdate.meta.fields if name in asked}
    if not fields - {"etag"}:
        raise _invalid("Must provide an update.")
    unknown = sorted(fields - _SUPPORTED_UPDATE)
    if unknown:
        raise RpcFailure(
            grpc.StatusCode.UNIMPLEMENTED,
            f"the local GKE updates desired_autopilot_workload_policy_config only, not {', '.join(unknown)}",
        )
    if not cluster.autopilot:
        raise _invalid("Autopilot workload policy config can only be updated on Autopilot clusters.")
    if asked.etag and asked.etag != cluster.proto.etag:
        raise RpcFailure(
            grpc.StatusCode.ABORTED,
            f'The etag "{asked.etag}" does not match the current etag "{cluster.proto.etag}" of the cluster. '
            "Please read the cluster again and retry.",
        )


def idle(cluster: state.LocalCluster, running: container_v1.Operation | None) -> None:
    """Refuse while another operation runs, as FAILED_PRECONDITION in the words that GKE has for its kind."""
    if running is None:
        return
    if running.operation_type in {state.OperationType.CREATE_CLUSTER, state.OperationType.DELETE_CLUSTER}:
        text = "Cluster is currently being created, deleted, updated or repaired and cannot be updated."
    else:
        text = f"Cluster is running incompatible operation {running.name}."
    raise RpcFailure(
        grpc.StatusCode.FAILED_PRECONDITION,
        text,
        error_info("CLUSTER_ALREADY_HAS_OPERATION", DOMAIN, cluster=cluster.ref.name),
    )


def org_policy(policy: state.OrgPolicy | None, config: container_v1.WorkloadPolicyConfig) -> None:
    """Refuse allow-net-admin where a custom constraint denies it.

    Source: https://cloud.google.com/kubernetes-engine/docs/how-to/custom-org-policies#test.
    """
    if policy is None or not config.allow_net_admin:
        return
    constraint = f"customConstraints/{policy.constraint}"
    raise RpcFailure(
        grpc.StatusCode.FAILED_PRECONDITION,
        f'Operation denied by custom org policies: ["{constraint}": "{policy.description}"]',
        error_info("CUSTOM_ORG_POLICY_VIOLATION", "googleapis.com", customConstraints=constraint, service=DOMAIN),
    )


def not_found(name: str) -> RpcFailure:
    """NOT_FOUND in GKE's words."""
    return RpcFailure(grpc.StatusCode.NOT_FOUND, f"Not found: {name}.")


def _is_range(cidr: str) -> bool:
    try:
        ipaddress.IPv4Network(cidr)
    except ValueError:
        return False
    return "/" in cidr


def _invalid(text: str) -> RpcFailure:
    return RpcFailure(grpc.StatusCode.INVALID_ARGUMENT, text)
