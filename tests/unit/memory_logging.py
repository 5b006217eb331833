"""The door to Cloud Logging over the local cloud's service, without a socket."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import grpc
from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
from google.cloud.logging_v2.services.logging_service_v2.transports import LoggingServiceV2GrpcTransport
from google.cloud.logging_v2.types import ListLogEntriesRequest, ListLogEntriesResponse

from byomesh.local.cloud_logging.service import CloudLogging as LocalLogging
from byomesh.local.cloud_logging.stdout import Printed
from byomesh.local.gke import audit
from byomesh.local.rpc import Call, RpcFailure
from shared.cloud_logging import CloudLogging
from shared.config import Settings
from shared.model import ClusterRef, MeshStatus, status_for_the_log
from tests.unit.grpc_channel import Channel, Fault

NOW = dt.datetime(2026, 5, 4, 9, 0, tzinfo=dt.UTC)
AGES_AGO = NOW - dt.timedelta(days=30)
SHOP = ClusterRef("shop", "europe-west1", "eu-1")
PROJECT = "mesh"


class MemoryLogging:
    """A log and a door to it.

    Attributes:
        local: the log.
        door: what the functions use.
        requests: every request that was made.
    """

    def __init__(self, *, project: str = PROJECT) -> None:
        self.local = LocalLogging(clock=lambda: NOW)
        self.requests: list[ListLogEntriesRequest] = []
        self.fault: Fault | None = None
        transport = LoggingServiceV2GrpcTransport(channel=Channel(ListLogEntries=self._list))
        self.door = CloudLogging(Settings(project=project), LoggingServiceV2Client(transport=transport))

    def _list(self, request: ListLogEntriesRequest) -> ListLogEntriesResponse:
        self.requests.append(request)
        if self.fault is not None:
            raise self.fault
        try:
            return self.local.list_entries(request, Call("tester@mesh.iam.gserviceaccount.com"))
        except RpcFailure as failure:
            raise Fault(failure.code, failure.text) from failure

    def operation(
        self,
        method: str = "UpdateCluster",
        *,
        ref: ClusterRef = SHOP,
        name: str = "operation-1",
        principal: str = "alice@example.com",
        at: dt.datetime = NOW,
        **request: Any,
    ) -> None:
        """Write both entries of an operation that took a minute and succeeded."""
        call = audit.Audited(ref, method, "v1", principal, "google-cloud-sdk gcloud/1", "127.0.0.1", request)
        operation = audit.AuditedOperation(name, "UPDATE_CLUSTER", at - dt.timedelta(minutes=1))
        self.local.write(audit.first(call, operation))
        self.local.write(audit.last(call, operation, at))

    def say(self, folder: Path, *lines: dict[str, Any] | str) -> None:
        """Print lines as a function does."""
        log = folder / "function.log"
        with log.open("a", encoding="utf-8") as file:
            for line in lines:
                file.write((line if isinstance(line, str) else json.dumps(line)) + "\n")
        self.local.follow("function", Printed(log, "enforce-policy", PROJECT, "europe-west1"))


def status_line(status: MeshStatus, at: dt.datetime, request_id: str = "r1") -> dict[str, Any]:
    """The line by which a function tells of a status."""
    return {
        "severity": "INFO",
        "message": f"{status.phase}: {status.message}",
        "time": at.isoformat(),
        "mesh_status": status_for_the_log(status),
        "logging.googleapis.com/labels": {"cluster": str(status.cluster), "request_id": request_id},
        "logging.googleapis.com/trace": "projects/mesh/traces/0af7651916cd43dd8448eb211c80319c",
    }


UNAVAILABLE = Fault(grpc.StatusCode.PERMISSION_DENIED, "Permission denied for all log views")
