"""Starts and stops the control plane of one local cluster."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import aiohttp

from byomesh.local.authority import Authority, Issued, make_key, write_private
from byomesh.local.build import Binaries
from byomesh.local.kubernetes import command_lines, files
from byomesh.local.kubernetes.command_lines import Layout
from byomesh.local.kubernetes.nodes import node_object
from byomesh.local.kubernetes.settings import ClusterSettings
from byomesh.local.network import ClusterNetwork
from byomesh.local.processes import Process, ProcessError, stop_all

__all__ = ["ControlPlane"]

_POLL = 0.05  # seconds
_ADMINISTRATORS = "system:masters"
_CLIENTS = {
    "admin": "byomesh-admin",
    "kube-controller-manager": "system:kube-controller-manager",
    "kube-scheduler": "system:kube-scheduler",
    "kwok": "system:kwok",
}


class ControlPlane:
    """One cluster: its five programs, the files they read, and the network that its API server sees.

    Use it as an async context manager, or call `start` and `stop`; it can be started once. All of it must happen in one
    event loop, on a thread that lasts: the programs are killed at that thread's end.

    Args:
        name: what its kubeconfig calls it.
        folder: for its certificates, data and logs; made if missing. Private keys in it are its owner's only.
        binaries: from `ensure_binaries`.
        settings: ranges, delays and webhooks.

    Attributes:
        network: answers for the cluster's Services and pods, once told to.
        settings: as given.
    """

    def __init__(self, name: str, folder: Path, binaries: Binaries, settings: ClusterSettings | None = None) -> None:
        self.name = name
        self.settings = settings or ClusterSettings()
        self._binaries = binaries
        self._port = _reserve_port()
        self._layout = Layout(folder, Path(tempfile.mkdtemp(prefix="byomesh-")), self._port.getsockname()[1])
        self.network = ClusterNetwork(self._layout.network_socket)
        self._authority = Authority.create(f"{name}-ca")
        self._admin = self._authority.client(_CLIENTS["admin"], [_ADMINISTRATORS])
        self._processes: list[Process] = []
        self._session: aiohttp.ClientSession | None = None
        self._nodes = 0
        self._stopped = False

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.stop()

    @property
    def endpoint(self) -> str:
        """Where its API server is: 127.0.0.1:PORT."""
        return f"127.0.0.1:{self._layout.port}"

    @property
    def ca_pem(self) -> bytes:
        """The certificate of the CA that vouches for its API server."""
        return self._authority.pem

    @property
    def pids(self) -> dict[str, int]:
        """The process ids of its programs, by name."""
        return {process.name: process.pid for process in self._processes}

    def admin_kubeconfig(self) -> str:
        """A kubeconfig (YAML) of a member of system:masters, with nothing in it that refers to a file."""
        return files.kubeconfig(self.name, f"https://{self.endpoint}", self.ca_pem, self._admin)

    def client(self) -> aiohttp.ClientSession:
        """A new session with its API server, as its administrator, that takes paths; the caller closes it.

        Raises:
            OSError: it was never started, so there is no certificate yet.
        """
        context = ssl.create_default_context(cadata=self.ca_pem.decode())
        context.load_cert_chain(self._layout.folder / "admin.crt", self._layout.folder / "admin.key")
        return aiohttp.ClientSession(
            f"https://{self.endpoint}",
            connector=aiohttp.TCPConnector(ssl=context),
            timeout=aiohttp.ClientTimeout(total=10),
        )

    async def start(self, *, seconds: float = 60.0) -> None:
        """Starts it and waits until it is ready, within `seconds` in all.

        Raises:
            ProcessError: one of its programs ended or wasn't ready, or `stop` was called meanwhile; what was started
                goes on until `stop`.
        """
        deadline = time.monotonic() + seconds
        await asyncio.to_thread(self._write_files)
        if self._stopped:
            raise ProcessError(f"cluster {self.name} was stopped before it ran")
        await self.network.start()
        etcd = self._launch("etcd", command_lines.etcd(self._binaries, self._layout))
        # An API server that doesn't find it there looks again a whole second later.
        await etcd.wait_until(self._etcd_listens, seconds=deadline - time.monotonic())
        apiserver = self._launch(
            "kube-apiserver",
            command_lines.kube_apiserver(self._binaries, self._layout, self.settings),
        )
        self._session = self.client()
        # Started before it is ready, the controllers would look again a whole second later, too.
        await apiserver.wait_until(lambda: self._there("/readyz"), seconds=deadline - time.monotonic())
        arguments = command_lines.kube_controller_manager(self._binaries, self._layout, self.settings)
        self._launch("kube-controller-manager", arguments)
        self._launch("kube-scheduler", command_lines.kube_scheduler(self._binaries, self._layout))
        self._launch("kwok", command_lines.kwok(self._binaries, self._layout, self.settings))
        await self.ready(seconds=deadline - time.monotonic())

    async def ready(self, *, seconds: float = 60.0) -> None:
        """Waits until the API server says it is ready and pods could be made: the controllers do their work.

        Raises:
            ProcessError: one of the programs has ended, or they weren't ready within `seconds`.
        """
        for process in self._processes:
            process.check()
        by_name = {process.name: process for process in self._processes}
        deadline = time.monotonic() + seconds
        await by_name["kube-apiserver"].wait_until(lambda: self._there("/readyz"), seconds=seconds)
        await by_name["kube-controller-manager"].wait_until(
            lambda: self._there("/api/v1/namespaces/default/serviceaccounts/default"),
            seconds=deadline - time.monotonic(),
        )

    async def add_node(
        self,
        name: str,
        *,
        zone: str = "us-central1-a",
        project: str = "local",
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """Lets a GKE node join; it is ready, and takes pods, about as soon as the API knows it.

        Raises:
            ProcessError: the API server refused the node (its name is taken), or isn't running.
        """
        node = node_object(name, self._nodes, self.settings, zone=zone, project=project, labels=labels)
        self._nodes += 1
        if self._session is None:
            raise ProcessError(f"cluster {self.name} takes no node: it isn't running. Start it first.")
        async with self._session.post("/api/v1/nodes", json=node) as response:
            if response.status != 201:  # noqa: PLR2004 - Created
                raise ProcessError(f"cluster {self.name} refused node {name}: {(await response.text())[:500]}")

    async def stop(self) -> None:
        """Ends its programs and removes their sockets; its folder stays, with the logs. Harmless at any time."""
        self._stopped = True
        session, self._session = self._session, None
        if session is not None:
            # Nobody finds it any more: a request in a session that is closing is a RuntimeError.
            await session.close()
        # No state is kept, so the API server needn't wait for its watchers to leave, as it would for seconds.
        await stop_all(self._processes, grace=0.2)
        await self.network.stop()
        self._port.close()
        await asyncio.to_thread(shutil.rmtree, self._layout.sockets, ignore_errors=True)

    def _launch(self, name: str, arguments: command_lines.Arguments) -> Process:
        # The user's home may hold settings for kwok or Go; TMPDIR is where a program may put files of its own.
        environment = {"HOME": str(self._layout.folder), "TMPDIR": str(self._layout.sockets)}
        process = Process.start(name, arguments, logs=self._layout.folder, environment=environment)
        self._processes.append(process)
        return process

    async def _etcd_listens(self) -> bool:
        return self._layout.etcd_socket.exists()

    async def _there(self, path: str) -> bool:
        if self._session is None:
            return False
        try:
            async with self._session.get(path) as response:
                return response.status == 200  # noqa: PLR2004 - OK
        except (aiohttp.ClientError, TimeoutError):
            return False

    def _write_files(self) -> None:
        """Everything that the programs read; takes some tens of milliseconds."""
        folder, layout = self._layout.folder, self._layout
        folder.mkdir(parents=True, exist_ok=True)
        self._authority.issued.save(folder, "ca")
        self._admin.save(folder, "admin")
        self._server_certificate().save(folder, "apiserver")
        front_proxy = Authority.create(f"{self.name}-front-proxy-ca")
        (folder / "front-proxy-ca.crt").write_bytes(front_proxy.pem)
        front_proxy.client("front-proxy-client").save(folder, "front-proxy")
        private, public = make_key()
        write_private(folder / "service-accounts.key", private)
        (folder / "service-accounts.pub").write_bytes(public)
        for name, user in _CLIENTS.items():
            # RBAC's own roles come up after the API does; this group needs none of them.
            issued = self._admin if name == "admin" else self._authority.client(user, [_ADMINISTRATORS])
            text = files.kubeconfig(self.name, f"https://{self.endpoint}", self.ca_pem, issued)
            write_private(folder / f"{name}.kubeconfig", text.encode())
        (folder / "egress.yaml").write_text(files.egress_selector(layout.network_socket))
        (folder / "scheduler.yaml").write_text(files.scheduler_config(folder / "kube-scheduler.kubeconfig"))
        (folder / "kwok.yaml").write_text(files.kwok_config(self.settings.pod_seconds))
        (folder / "authorization.yaml").write_text(files.authorization_config(folder, self.settings))
        for name in ("authentication", "authorization", "managed"):
            if webhook := getattr(self.settings, name):
                (folder / f"{name}.kubeconfig").write_text(files.webhook_kubeconfig(webhook))

    def _server_certificate(self) -> Issued:
        settings = self.settings
        names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
        addresses = [settings.kubernetes_service_ip, settings.advertised_ip]
        return self._authority.server(["127.0.0.1", "localhost", *names, *addresses])


def _reserve_port() -> socket.socket:
    """Binds a free port on 127.0.0.1 and keeps it: with SO_REUSEPORT the API server can have it too, others can't."""
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reserved.bind(("127.0.0.1", 0))
    return reserved
