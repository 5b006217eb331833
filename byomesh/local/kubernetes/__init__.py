"""One real Kubernetes cluster on loopback: etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok."""

from byomesh.local.kubernetes.control_plane import ControlPlane
from byomesh.local.kubernetes.settings import ClusterSettings, Webhook

__all__ = ["ClusterSettings", "ControlPlane", "Webhook"]
