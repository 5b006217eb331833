"""The nodes of a local cluster, which look like GKE's own; kwok is their kubelet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from byomesh.local.build import module_version
from byomesh.local.kubernetes.settings import ClusterSettings

__all__ = ["node_object"]

_FIRST_NODE = 10  # the addresses before it are the gateway's and the control plane's


def node_object(
    name: str,
    index: int,
    settings: ClusterSettings,
    *,
    zone: str,
    project: str,
    labels: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A Node as a new GKE node registers itself: not ready yet, and without a pod range.

    Args:
        name: of the node, and of its machine.
        index: which of the cluster's nodes it is, from 0; gives its address.
        settings: the cluster's.
        zone: such as us-central1-a.
        project: the project's id, which is in the machine's full name.
        labels: more labels, or other values for the usual ones.
    """
    address = str(settings.nodes[_FIRST_NODE + index])
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {**_labels(name, zone), **(labels or {})},
            "annotations": {
                "node.gke.io/last-applied-node-labels": "",
                "volumes.kubernetes.io/controller-managed-attach-detach": "true",
            },
        },
        "spec": {"providerID": f"gce://{project}/{zone}/{name}"},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": address},
                {"type": "Hostname", "address": name},
            ],
            "capacity": _resources("4", "16386036Ki", settings),
            "allocatable": _resources("3920m", "13929460Ki", settings),
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": "",
                "containerRuntimeVersion": "containerd://2.1.3",
                "kernelVersion": "6.12.46+",
                "kubeProxyVersion": "",
                "kubeletVersion": module_version("k8s.io/kubernetes"),
                "machineID": "",
                "operatingSystem": "linux",
                "osImage": "Container-Optimized OS from Google",
                "systemUUID": "",
            },
        },
    }


def _labels(name: str, zone: str) -> dict[str, str]:
    return {
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "cloud.google.com/gke-container-runtime": "containerd",
        "cloud.google.com/gke-nodepool": "default-pool",
        "cloud.google.com/gke-os-distribution": "cos",
        "cloud.google.com/gke-provisioning": "standard",
        "cloud.google.com/machine-family": "e2",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": "e2-standard-4",
        "topology.kubernetes.io/region": zone.rpartition("-")[0],
        "topology.kubernetes.io/zone": zone,
    }


def _resources(cpu: str, memory: str, settings: ClusterSettings) -> dict[str, str]:
    return {
        "cpu": cpu,
        "ephemeral-storage": "98831908Ki",
        "hugepages-2Mi": "0",
        "memory": memory,
        "pods": str(settings.pods_a_node),
    }
