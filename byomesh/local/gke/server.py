"""google.container.v1.ClusterManager over gRPC, for Google's own clients: messages in, the local GKE's answers out."""

from __future__ import annotations

from google.cloud import container_v1 as v1

from byomesh.local.gke.manager import Gke
from byomesh.local.rpc import Call, Caller, Faults, Handler, Method, service

SERVICE = "google.container.v1.ClusterManager"


def handler(gke: Gke, *, caller: Caller, faults: Faults) -> Handler:
    """The service, for `byomesh.local.rpc.serve`."""

    async def get(request: v1.GetClusterRequest, call: Call) -> v1.Cluster:
        return gke.get(request.name, call)

    async def list_(request: v1.ListClustersRequest, call: Call) -> v1.ListClustersResponse:
        return gke.list_clusters(request.parent, call)

    async def create(request: v1.CreateClusterRequest, call: Call) -> v1.Operation:
        return (await gke.create(request, call)).proto

    async def update(request: v1.UpdateClusterRequest, call: Call) -> v1.Operation:
        return (await gke.update(request, call)).proto

    async def set_labels(request: v1.SetLabelsRequest, call: Call) -> v1.Operation:
        return (await gke.set_labels(request, call)).proto

    async def delete(request: v1.DeleteClusterRequest, call: Call) -> v1.Operation:
        return (await gke.delete(request, call)).proto

    async def get_operation(request: v1.GetOperationRequest, call: Call) -> v1.Operation:
        return gke.get_operation(request.name, call)

    async def list_operations(request: v1.ListOperationsRequest, call: Call) -> v1.ListOperationsResponse:
        return gke.list_operations(request.parent, call)

    methods = {
        "GetCluster": Method(v1.GetClusterRequest, v1.Cluster, get),
        "ListClusters": Method(v1.ListClustersRequest, v1.ListClustersResponse, list_),
        "CreateCluster": Method(v1.CreateClusterRequest, v1.Operation, create),
        "UpdateCluster": Method(v1.UpdateClusterRequest, v1.Operation, update),
        "SetLabels": Method(v1.SetLabelsRequest, v1.Operation, set_labels),
        "DeleteCluster": Method(v1.DeleteClusterRequest, v1.Operation, delete),
        "GetOperation": Method(v1.GetOperationRequest, v1.Operation, get_operation),
        "ListOperations": Method(v1.ListOperationsRequest, v1.ListOperationsResponse, list_operations),
    }
    return service(SERVICE, methods, caller=caller, faults=faults)
