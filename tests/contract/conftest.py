"""What the contract tests share: the built programs, one running cluster, and a small client of its API."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Self

import aiohttp
import pytest
import yaml
from rich.console import Console

from byomesh.local.build import Binaries, ensure_binaries
from byomesh.local.build_display import build_with_display
from byomesh.local.kubernetes import ControlPlane

Json = dict[str, Any]


class KubeApi:
    """Speaks JSON with one API server, as the user of a kubeconfig, and waits for what is to come true."""

    def __init__(self, kubeconfig: str, folder: Path) -> None:
        config = yaml.safe_load(kubeconfig)
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self._server: str = cluster["server"]
        self._context = ssl.create_default_context(cadata=_decode(cluster["certificate-authority-data"]))
        certificate = folder / "client.pem"
        certificate.write_text(_decode(user["client-certificate-data"]) + _decode(user["client-key-data"]))
        self._context.load_cert_chain(certificate)

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._context)
        self._session = aiohttp.ClientSession(self._server, connector=connector)
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._session.close()

    async def call(self, method: str, path: str, body: Json | None = None, **headers: str) -> tuple[int, Json]:
        """The status and the JSON that a request is answered with."""
        async with self._session.request(method, path, json=body, headers=headers) as response:
            answer: Json = await response.json(content_type=None)
            return response.status, answer

    async def get(self, path: str) -> Json:
        """An object that is there."""
        status, answer = await self.call("GET", path)
        assert status == 200, answer
        return answer

    async def create(self, path: str, body: Json) -> Json:
        """Creates an object that wasn't there."""
        status, answer = await self.call("POST", path, body)
        assert status == 201, answer
        return answer

    async def until(self, path: str, true: Callable[[Json], bool], *, seconds: float = 120.0) -> Json:
        """The answer to a GET once `true` says so of it; a 404 is an answer too."""
        deadline = time.monotonic() + seconds
        while True:
            _status, answer = await self.call("GET", path)
            with contextlib.suppress(KeyError, IndexError):
                if true(answer):
                    return answer
            assert time.monotonic() < deadline, f"{path} after {seconds} s: {answer}"
            await asyncio.sleep(0.05)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Builds before the first test, in sight and outside of its timeout: a cold build takes minutes."""
    wanted = any("binaries" in getattr(item, "fixturenames", ()) for item in session.items)
    if not wanted or session.config.option.collectonly:
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        build_with_display(Console())


@pytest.fixture(scope="session")
def binaries() -> Binaries:
    return ensure_binaries()


@pytest.fixture(scope="session")
async def control_plane(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ControlPlane]:
    """One cluster with one node, for tests that leave nothing behind that others would see."""
    async with ControlPlane("shared", tmp_path_factory.mktemp("shared-cluster"), binaries) as plane:
        await plane.add_node("gke-shared-default-pool-0001")
        yield plane


@pytest.fixture(scope="session")
async def kube(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KubeApi]:
    """The shared cluster's API, as its administrator."""
    async with KubeApi(control_plane.admin_kubeconfig(), tmp_path_factory.mktemp("kube")) as api:
        yield api


def _decode(text: str) -> str:
    return base64.b64decode(text).decode()
