"""The audit entries of GKE's operations, as LogEntry objects in JSON: shaped as Cloud Logging's sinks deliver them.

A long-running operation writes two: the first with the request and its principal, the last with the outcome alone.
A call that GKE rejects writes one without `operation`, of severity ERROR
(https://cloud.google.com/kubernetes-engine/docs/how-to/audit-logging).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import secrets
from typing import Any

from byomesh.local.gke import state
from shared.model import ClusterRef

SERVICE = "container.googleapis.com"
LOG = "cloudaudit.googleapis.com%2Factivity"

_MESSAGES = "type.googleapis.com/google.container.v1alpha1"
"""GKE's entries name this version of its messages, whatever version of the API was called."""

_RECEIVED_AFTER = dt.timedelta(milliseconds=800)
"""How long after an entry's own time Cloud Logging receives it; of the order of the recorded ones."""

PERMISSIONS = {
    "CreateCluster": "container.clusters.create",
    "UpdateCluster": "container.clusters.update",
    "SetLabels": "container.clusters.update",
    "DeleteCluster": "container.clusters.delete",
}
"""The permission that each logged method needs."""


@dataclasses.dataclass(frozen=True, slots=True)
class Audited:
    """A call that the audit log tells of.

    Attributes:
        ref: the cluster it is about.
        method: the method's last part.
        api_version: `v1` or `v1beta1`.
        principal: e-mail of the caller.
        user_agent: the caller's client.
        ip: the caller's address.
        request: the request as JSON, lowerCamelCase.
    """

    ref: ClusterRef
    method: str
    api_version: str
    principal: str
    user_agent: str
    ip: str
    request: dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class AuditedOperation:
    """The operation that a call started.

    Attributes:
        name: bare id.
        kind: such as CREATE_CLUSTER.
        start: when it started.
    """

    name: str
    kind: str
    start: dt.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """Why a call was rejected or an operation failed: a google.rpc.Status.

    Attributes:
        code: number of google.rpc.Code.
        message: GKE's words.
    """

    code: int
    message: str


def first(call: Audited, operation: AuditedOperation) -> dict[str, Any]:
    """The entry of an operation that has started."""
    entry = _entry(call.ref, operation.start, "NOTICE")
    entry["operation"] = {"first": True, "id": operation.name, "producer": SERVICE}
    entry["protoPayload"] |= _request_part(call)
    entry["protoPayload"]["response"] |= {
        "name": operation.name,
        "operationType": operation.kind,
        "selfLink": f"{state.API}/v1alpha1/{state.zonal_name(call.ref, 'operations', operation.name)}",
        "startTime": state.timestamp(operation.start),
        "status": "RUNNING",
        "targetLink": f"{state.API}/v1alpha1/{state.zonal_name(call.ref)}",
    }
    return entry


def last(
    call: Audited, operation: AuditedOperation, end: dt.datetime, failure: Failure | None = None
) -> dict[str, Any]:
    """The entry of an operation that has ended: `status` is {} where it succeeded."""
    entry = _entry(call.ref, end, "NOTICE" if failure is None else "ERROR")
    entry["operation"] = {"id": operation.name, "last": True, "producer": SERVICE}
    entry["protoPayload"] |= {
        "metadata": {"operationType": operation.kind, "requestID": f"0x{secrets.token_hex(8)}"},
        "methodName": _method(call),
        "status": {} if failure is None else dataclasses.asdict(failure),
    }
    return entry


def rejected(call: Audited, failure: Failure, time: dt.datetime) -> dict[str, Any]:
    """The entry of a call that started no operation."""
    entry = _entry(call.ref, time, "ERROR")
    entry["protoPayload"] |= _request_part(call) | {"status": dataclasses.asdict(failure)}
    return entry


def _entry(ref: ClusterRef, time: dt.datetime, severity: str) -> dict[str, Any]:
    return {
        "insertId": secrets.token_hex(6),
        "logName": f"projects/{ref.project}/logs/{LOG}",
        "protoPayload": {
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
            "policyViolationInfo": {"orgPolicyViolationInfo": {}},
            "resourceLocation": {"currentLocations": [ref.location]},
            "resourceName": state.zonal_name(ref),
            "serviceName": SERVICE,
        },
        "receiveTimestamp": state.timestamp(time + _RECEIVED_AFTER),
        "resource": {
            "labels": {"cluster_name": ref.name, "location": ref.location, "project_id": ref.project},
            "type": "gke_cluster",
        },
        "severity": severity,
        "timestamp": state.timestamp(time),
    }


def _request_part(call: Audited) -> dict[str, Any]:
    resource = state.zonal_name(call.ref)
    account = call.principal.endswith(".gserviceaccount.com")
    return {
        "authenticationInfo": {
            "principalEmail": call.principal,
            "principalSubject": f"serviceAccount:{call.principal}" if account else f"user:{call.principal}",
        },
        "authorizationInfo": [
            {
                "granted": True,
                "permission": PERMISSIONS[call.method],
                "permissionType": "ADMIN_WRITE",
                "resource": resource,
                "resourceAttributes": {"name": resource, "service": SERVICE, "type": f"{SERVICE}/Cluster"},
            }
        ],
        "methodName": _method(call),
        "request": {"@type": f"{_MESSAGES}.{call.method}Request", **call.request},
        "requestMetadata": {
            "callerIp": call.ip,
            "callerSuppliedUserAgent": call.user_agent,
            "destinationAttributes": {},
            "requestAttributes": {},
        },
        "response": {"@type": f"{_MESSAGES}.Operation"},
    }


def _method(call: Audited) -> str:
    return f"google.container.{call.api_version}.ClusterManager.{call.method}"
