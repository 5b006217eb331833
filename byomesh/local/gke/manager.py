"""The local GKE itself: decides what each call does to the clusters, and starts their operations."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import proto  # type: ignore[import-untyped]
from google.cloud import container_v1

from byomesh.local.gke import audit, state, validate
from byomesh.local.gke.operations import Emit, LocalOperation, Operations, Work
from byomesh.local.gke.state import Backend, LocalCluster, LocalOptions, OrgPolicy, Status
from byomesh.local.pace import Pace
from byomesh.local.rpc import Call, RpcFailure
from shared.model import ClusterRef

Permit = Callable[[Call, str, str], bool]
"""Whether a caller has a permission (such as `container.clusters.get`) on a resource's name."""


def utc_now() -> dt.datetime:
    """The present moment, in UTC."""
    return dt.datetime.now(dt.UTC)


class Gke:
    """All clusters of the local cloud.

    Args:
        backend: what makes clusters real.
        emit: receives each audit entry.
        pace: divides the operations' durations.
        defaults: options of clusters that come through the API.
        permit: the permission hook; everybody may do everything without it.
        clock: tells the time.

    Attributes:
        clusters: by name.
        operations: running and ended.
        org_policies: denials of allow-net-admin, by project.
        unreachable: locations that a list can't reach, and names as missing.
    """

    def __init__(
        self,
        *,
        backend: Backend,
        emit: Emit,
        pace: Pace | None = None,
        defaults: LocalOptions | None = None,
        permit: Permit | None = None,
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self.clusters: dict[ClusterRef, LocalCluster] = {}
        self.operations = Operations(pace=pace or Pace(), emit=emit, clock=clock)
        self.org_policies: dict[str, OrgPolicy] = {}
        self.unreachable: set[str] = set()
        self._backend = backend
        self._emit = emit
        self._defaults = defaults or LocalOptions()
        self._permit = permit or (lambda _call, _permission, _resource: True)
        self._clock = clock
        self._ranges = state.pod_ranges()

    def get(self, name: str, call: Call) -> container_v1.Cluster:
        """The cluster of a resource name; NOT_FOUND where there is none."""
        ref = validate.cluster_name(name)
        self._allow(call, "container.clusters.get", state.zonal_name(ref))
        return self._existing(ref).proto

    def list_clusters(self, parent: str, call: Call) -> container_v1.ListClustersResponse:
        """The clusters of a location, or of all with `-`; locations out of reach are named instead."""
        project, location = validate.parent(parent)
        self._allow(call, "container.clusters.list", f"projects/{project}")
        there = [c for ref, c in self.clusters.items() if ref.project == project and location in {"-", ref.location}]
        return container_v1.ListClustersResponse(
            clusters=[c.proto for c in there if c.ref.location not in self.unreachable],
            missing_zones=sorted(self.unreachable) if location == "-" else sorted(self.unreachable & {location}),
        )

    async def create(
        self, request: container_v1.CreateClusterRequest, call: Call, options: LocalOptions | None = None
    ) -> LocalOperation:
        """Start making a cluster; options are for callers within the local cloud, the API's get the defaults."""
        options = options or self._defaults
        project, location = validate.parent(request.parent)
        ref = ClusterRef(project, location, request.cluster.name)
        audited = _audited(ref, "CreateCluster", request, call, options)

        def decide() -> Work:
            self._allow(call, "container.clusters.create", state.zonal_name(ref))
            validate.new_cluster(request.cluster)
            if ref in self.clusters:
                raise RpcFailure(grpc.StatusCode.ALREADY_EXISTS, f"Already exists: {state.zonal_name(ref)}.")
            validate.org_policy(self.org_policies.get(project), request.cluster.autopilot.workload_policy_config)
            cluster = state.cluster_of(ref, request.cluster, options, pods=next(self._ranges), now=self._clock())
            self.clusters[ref] = cluster
            return self._creation(cluster)

        return await self._start(audited, decide)

    async def adopt(self, ref: ClusterRef, asked: container_v1.Cluster, options: LocalOptions) -> LocalCluster:
        """Take in a cluster that was created before anybody looked: it is RUNNING, and no operation tells of it."""
        if ref in self.clusters:
            raise RpcFailure(grpc.StatusCode.ALREADY_EXISTS, f"Already exists: {state.zonal_name(ref)}.")
        cluster = state.cluster_of(ref, asked, options, pods=next(self._ranges), now=self._clock())
        state.open_endpoints(cluster, await self._backend.create(cluster))
        self.clusters[ref] = cluster
        self._settle(cluster, Status.RUNNING)
        return cluster

    def creation_of(
        self, cluster: LocalCluster, asked: container_v1.Cluster, call: Call
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Both audit entries of the creation of a cluster that was taken in; its operation is DONE from now."""
        request = container_v1.CreateClusterRequest(parent=cluster.ref.parent, cluster=asked)
        audited = _audited(cluster.ref, "CreateCluster", request, call, cluster.options)
        return self.operations.ended(audited, state.OperationType.CREATE_CLUSTER)

    def occupy(self, cluster: LocalCluster, call: Call) -> None:
        """Let an operation run on a cluster that never ends, as one does that GKE itself started and lost."""
        audited = _audited(cluster.ref, "UpdateCluster", container_v1.UpdateClusterRequest(), call, cluster.options)
        cluster.operation = self.operations.begin(audited, state.OperationType.UPGRADE_MASTER).facts.name
        cluster.proto.status = Status.RECONCILING
        cluster.touch()

    async def update(self, request: container_v1.UpdateClusterRequest, call: Call) -> LocalOperation:
        """Start changing a cluster's workload policy, if nothing else runs on it and the etag fits."""
        ref = validate.cluster_name(request.name)
        config = request.update.desired_autopilot_workload_policy_config

        def decide() -> Work:
            cluster = self._changeable(ref, call, "container.clusters.update")
            validate.update(cluster, request.update)
            validate.org_policy(self.org_policies.get(ref.project), config)
            return self._policy_change(cluster, allowed=bool(config.allow_net_admin))

        return await self._start(_audited(ref, "UpdateCluster", request, call), decide)

    async def set_labels(self, request: container_v1.SetLabelsRequest, call: Call) -> LocalOperation:
        """Start replacing a cluster's resource labels, if the fingerprint fits."""
        ref = validate.cluster_name(request.name)

        def decide() -> Work:
            cluster = self._changeable(ref, call, "container.clusters.update")
            if request.label_fingerprint != cluster.proto.label_fingerprint:
                text = "Labels could not be set due to fingerprint mismatch."
                raise RpcFailure(grpc.StatusCode.FAILED_PRECONDITION, text)
            return self._relabelling(cluster, dict(request.resource_labels))

        return await self._start(_audited(ref, "SetLabels", request, call), decide)

    async def delete(self, request: container_v1.DeleteClusterRequest, call: Call) -> LocalOperation:
        """Start deleting a cluster; it is gone when the operation is done."""
        ref = validate.cluster_name(request.name)

        def decide() -> Work:
            return self._deletion(self._changeable(ref, call, "container.clusters.delete"))

        return await self._start(_audited(ref, "DeleteCluster", request, call), decide)

    def get_operation(self, name: str, call: Call) -> container_v1.Operation:
        """The operation of a full name; NOT_FOUND where there is none."""
        project, location, bare = validate.operation_name(name)
        self._allow(call, "container.operations.get", f"projects/{project}")
        operation = self.operations.get(bare)
        if operation is None or (operation.ref.project, operation.ref.location) != (project, location):
            raise validate.not_found(name)
        return operation.proto

    def list_operations(self, parent: str, call: Call) -> container_v1.ListOperationsResponse:
        """The operations of a location, or of all with `-`."""
        project, location = validate.parent(parent)
        self._allow(call, "container.operations.list", f"projects/{project}")
        there = (o for o in self.operations if o.ref.project == project and location in {"-", o.ref.location})
        return container_v1.ListOperationsResponse(operations=[operation.proto for operation in there])

    def describe(self) -> list[dict[str, Any]]:
        """Every cluster as JSON-able data."""
        return [state.describe(cluster) for cluster in self.clusters.values()]

    async def close(self) -> None:
        """End the operations that run; the backend's control planes are its owner's to stop."""
        await self.operations.close()

    async def _start(self, audited: audit.Audited, decide: Callable[[], Work]) -> LocalOperation:
        try:
            work = decide()
        except RpcFailure as failure:
            await self._emit(audit.rejected(audited, audit.Failure(failure.number, failure.text), self._clock()))
            raise
        cluster = self.clusters[audited.ref]
        # No await between deciding and marking the cluster busy: two calls at once must not both pass.
        operation = self.operations.begin(audited, work.kind)
        cluster.operation = operation.facts.name
        cluster.touch()
        await self.operations.announce(operation, work)
        return operation

    def _creation(self, cluster: LocalCluster) -> Work:
        async def act() -> None:
            state.open_endpoints(cluster, await self._backend.create(cluster))
            if cluster.autopilot:
                await self._backend.allow_net_admin(cluster, cluster.net_admin)

        def done() -> None:
            self._settle(cluster, Status.RUNNING)
            self.operations.background(self._bring_nodes(cluster))

        return self._work(cluster, state.OperationType.CREATE_CLUSTER, act, done, early=True)

    def _policy_change(self, cluster: LocalCluster, *, allowed: bool) -> Work:
        async def act() -> None:
            await self._backend.allow_net_admin(cluster, allowed)
            cluster.proto.autopilot.workload_policy_config.allow_net_admin = allowed

        cluster.proto.status = Status.RECONCILING
        return self._work(
            cluster, state.OperationType.UPDATE_CLUSTER, act, lambda: self._settle(cluster, Status.RUNNING)
        )

    def _relabelling(self, cluster: LocalCluster, labels: dict[str, str]) -> Work:
        async def act() -> None:
            cluster.proto.resource_labels = labels
            cluster.proto.label_fingerprint = state.fingerprint(labels)

        cluster.proto.status = Status.RECONCILING
        return self._work(cluster, state.OperationType.SET_LABELS, act, lambda: self._settle(cluster, Status.RUNNING))

    def _deletion(self, cluster: LocalCluster) -> Work:
        async def act() -> None:
            await self._backend.delete(cluster)

        cluster.proto.status = Status.STOPPING
        return self._work(
            cluster, state.OperationType.DELETE_CLUSTER, act, lambda: self.clusters.pop(cluster.ref), early=True
        )

    def _work(
        self,
        cluster: LocalCluster,
        kind: Any,
        act: Callable[[], Awaitable[None]],
        done: Callable[[], Any],
        *,
        early: bool = False,
    ) -> Work:
        def failed(words: str, broken: bool) -> None:
            cluster.failure = words if broken else ""
            self._settle(cluster, Status.ERROR if broken else Status.RUNNING)

        return Work(kind, cluster.options.operation_seconds, act, done, failed, early)

    def _settle(self, cluster: LocalCluster, status: Any) -> None:
        cluster.proto.status = status
        cluster.proto.status_message = cluster.failure
        cluster.operation = None
        cluster.touch()

    async def _bring_nodes(self, cluster: LocalCluster) -> None:
        await self.operations.sleep(cluster.options.node_seconds)
        if cluster.ref in self.clusters:
            await self._backend.nodes(cluster)

    def _existing(self, ref: ClusterRef) -> LocalCluster:
        cluster = self.clusters.get(ref)
        if cluster is None:
            raise validate.not_found(state.zonal_name(ref))
        return cluster

    def _changeable(self, ref: ClusterRef, call: Call, permission: str) -> LocalCluster:
        self._allow(call, permission, state.zonal_name(ref))
        cluster = self._existing(ref)
        running = self.operations.get(cluster.operation) if cluster.operation else None
        validate.idle(cluster, running.proto if running else None)
        return cluster

    def _allow(self, call: Call, permission: str, resource: str) -> None:
        if not self._permit(call, permission, resource):
            raise RpcFailure(
                grpc.StatusCode.PERMISSION_DENIED,
                f'Required "{permission}" permission(s) for "{resource}". See https://cloud.google.com/'
                "kubernetes-engine/docs/troubleshooting#gke_service_account_deleted for more info.",
            )


def _audited(
    ref: ClusterRef, method: str, request: proto.Message, call: Call, options: LocalOptions | None = None
) -> audit.Audited:
    options = options or LocalOptions()
    return audit.Audited(
        ref,
        method,
        options.api_version,
        options.principal or call.principal,
        options.user_agent or call.user_agent,
        call.ip,
        type(request).to_dict(
            request,
            preserving_proto_field_name=False,
            use_integers_for_enums=False,
            always_print_fields_with_no_presence=False,
        ),
    )
