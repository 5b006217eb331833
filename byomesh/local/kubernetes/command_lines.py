"""The command lines of a control plane's programs; what isn't here is left at Kubernetes' own default."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from byomesh.local.build import Binaries
from byomesh.local.kubernetes.settings import ClusterSettings

__all__ = ["Layout", "etcd", "kube_apiserver", "kube_controller_manager", "kube_scheduler", "kwok"]

Arguments = list[str | Path]


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """Where the files of one cluster are.

    Attributes:
        folder: certificates, kubeconfigs, configuration; may have any path.
        sockets: a private folder with a short path, as a Unix socket's is 107 bytes at most.
        port: the API server's, on 127.0.0.1; the only one of the cluster.
    """

    folder: Path
    sockets: Path
    port: int

    @property
    def etcd_socket(self) -> Path:
        """Where etcd serves the API server."""
        return self.sockets / "etcd.sock"

    @property
    def network_socket(self) -> Path:
        """Where the cluster's network answers the API server."""
        return self.sockets / "network.sock"


def etcd(binaries: Binaries, layout: Layout) -> Arguments:
    """One member on Unix sockets. Nothing is kept after the cluster's end, so nothing waits for the disk."""
    # What is advertised must be a host and port; it is for other members and for clients that look for them.
    nobody = "http://127.0.0.1:1"
    return [
        binaries.etcd,
        *_flags(
            {
                "name": "local",
                "data-dir": layout.folder / "etcd",
                "listen-client-urls": f"unix://{layout.etcd_socket}",
                "advertise-client-urls": nobody,
                "listen-peer-urls": f"unix://{layout.sockets / 'peer.sock'}",
                "initial-advertise-peer-urls": nobody,
                "initial-cluster": f"local={nobody}",
                "enable-grpc-gateway": "false",
                "log-level": "warn",
                "unsafe-no-fsync": "true",
            },
        ),
    ]


def kube_apiserver(binaries: Binaries, layout: Layout, settings: ClusterSettings) -> Arguments:
    """The API server, on 127.0.0.1 only."""
    folder = layout.folder
    flags: dict[str, object] = {
        "advertise-address": settings.advertised_ip,
        "allow-privileged": "true",
        "bind-address": "127.0.0.1",
        "client-ca-file": folder / "ca.crt",
        "egress-selector-config-file": folder / "egress.yaml",
        "etcd-servers": f"unix://{layout.etcd_socket}",
        # Our own socket keeps the port until the server has it.
        "permit-port-sharing": "true",
        "profiling": "false",
        "proxy-client-cert-file": folder / "front-proxy.crt",
        "proxy-client-key-file": folder / "front-proxy.key",
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-client-ca-file": folder / "front-proxy-ca.crt",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-username-headers": "X-Remote-User",
        "secure-port": layout.port,
        "service-account-issuer": settings.issuer,
        "service-account-key-file": folder / "service-accounts.pub",
        "service-account-signing-key-file": folder / "service-accounts.key",
        "service-cluster-ip-range": settings.services_cidr,
        "tls-cert-file": folder / "apiserver.crt",
        "tls-private-key-file": folder / "apiserver.key",
    }
    if settings.authentication:
        flags["authentication-token-webhook-config-file"] = folder / "authentication.kubeconfig"
        flags["authentication-token-webhook-version"] = "v1"
    flags["authorization-config"] = folder / "authorization.yaml"
    return [binaries.kube_apiserver, *_flags(flags)]


def kube_controller_manager(binaries: Binaries, layout: Layout, settings: ClusterSettings) -> Arguments:
    """All controllers that run by default; no port, as nobody asks for its health there."""
    folder = layout.folder
    return [
        binaries.kube_controller_manager,
        *_flags(
            {
                "allocate-node-cidrs": "true",
                "cluster-cidr": settings.pods_cidr,
                "cluster-signing-cert-file": folder / "ca.crt",
                "cluster-signing-key-file": folder / "ca.key",
                "kube-api-burst": 1000,
                "kube-api-qps": 500,
                "kubeconfig": folder / "kube-controller-manager.kubeconfig",
                "leader-elect": "false",
                "node-cidr-mask-size": settings.node_mask,
                # Two busy cores may starve kwok for longer than the usual 50 s; no node here is ever really lost.
                "node-monitor-grace-period": "10m",
                "profiling": "false",
                "root-ca-file": folder / "ca.crt",
                "secure-port": 0,
                "service-account-private-key-file": folder / "service-accounts.key",
                "service-cluster-ip-range": settings.services_cidr,
            },
        ),
    ]


def kube_scheduler(binaries: Binaries, layout: Layout) -> Arguments:
    """The scheduler; no port, likewise."""
    return [binaries.kube_scheduler, *_flags({"config": layout.folder / "scheduler.yaml", "secure-port": 0})]


def kwok(binaries: Binaries, layout: Layout, settings: ClusterSettings) -> Arguments:
    """The kubelet of every node; serves nothing itself (a node port of 0 turns its server off)."""
    return [
        binaries.kwok,
        *_flags(
            {
                "cidr": settings.pods_cidr,
                "config": layout.folder / "kwok.yaml",
                "kubeconfig": layout.folder / "kwok.kubeconfig",
                "manage-all-nodes": "true",
                "node-ip": str(settings.nodes[3]),
                "node-lease-duration-seconds": 40,
                "node-port": 0,
            },
        ),
    ]


def _flags(values: Mapping[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in values.items()]
