"""The door to Kubernetes: against a real API server, and against a server that shows the faults that it won't."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3
from google.auth.exceptions import DefaultCredentialsError, RefreshError

from byomesh.local.kubernetes import ControlPlane
from shared.cluster import ControlPlaneAccess
from shared.errors import Refused, Temporary
from shared.kube import (
    AccountToken,
    AdmissionDenied,
    AlreadyExists,
    Conflict,
    FieldConflict,
    IamNotReady,
    Invalid,
    Kube,
    NotFound,
    Resource,
    Unauthorized,
    Unavailable,
    UnknownKind,
    connect,
    default_token,
    from_kubeconfig,
)
from tests.contract.https_server import Answer, Answerer, Cut, HttpsServer, Request, https_server

NAMESPACE = "kube-door"
CONFIG_MAP: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "one", "namespace": NAMESPACE},
    "data": {"a": "1"},
}


@pytest.fixture(scope="module")
async def admin(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kube]:
    kubeconfig = tmp_path_factory.mktemp("kube-door") / "kubeconfig"
    kubeconfig.write_text(control_plane.admin_kubeconfig())
    with from_kubeconfig(kubeconfig) as kube:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        await asyncio.to_thread(kube.create, "/api/v1/namespaces", namespace)
        yield kube
        await asyncio.to_thread(kube.delete, f"/api/v1/namespaces/{NAMESPACE}")


@pytest.fixture
async def config_map(admin: Kube) -> AsyncIterator[str]:
    """The path of a ConfigMap that manager `one` has applied."""
    path = await asyncio.to_thread(admin.path_of, CONFIG_MAP)
    await asyncio.to_thread(lambda: admin.apply(path, CONFIG_MAP, field_manager="one"))
    yield path
    await asyncio.to_thread(admin.delete, path)


async def test_absence_is_a_value_to_a_reader(admin: Kube) -> None:
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/absent"
    assert await asyncio.to_thread(admin.get, path) is None
    assert await asyncio.to_thread(admin.get_raw, path) is None
    assert await asyncio.to_thread(admin.delete, path) is False
    assert await asyncio.to_thread(lambda: list(admin.list_raw("/apis/none.example.com/v1/things"))) == []


async def test_a_dry_run_writes_nothing(admin: Kube, config_map: str) -> None:
    def story() -> None:
        before = admin.get(config_map)
        other = {**CONFIG_MAP, "metadata": {"name": "two"}}
        admin.create(f"/api/v1/namespaces/{NAMESPACE}/configmaps", other, dry_run=True)
        assert admin.get(f"/api/v1/namespaces/{NAMESPACE}/configmaps/two") is None
        changed = {**CONFIG_MAP, "data": {"a": "2"}}
        assert admin.apply(config_map, changed, field_manager="one", dry_run=True)["data"] == {"a": "2"}
        assert admin.patch(config_map, {"data": {"a": "3"}}, dry_run=True)["data"] == {"a": "3"}
        assert before is not None
        assert admin.replace(config_map, {**before, "data": {"a": "4"}}, dry_run=True)["data"] == {"a": "4"}
        assert admin.delete(config_map, dry_run=True)
        assert admin.get(config_map) == before

    await asyncio.to_thread(story)


async def test_conflicting_managers_are_named_and_force_takes_their_fields(admin: Kube, config_map: str) -> None:
    def story() -> None:
        theirs = {**CONFIG_MAP, "data": {"a": "9", "b": "9"}}
        with pytest.raises(FieldConflict) as raised:
            admin.apply(config_map, theirs, field_manager="two")
        assert raised.value.managers == (("one", ".data.a"),)
        found = admin.apply(config_map, theirs, field_manager="two", force=True)
        assert found["data"] == {"a": "9", "b": "9"}
        # What was read back, managedFields and all, can be applied as it is.
        found["metadata"].pop("resourceVersion")
        admin.apply(config_map, found, field_manager="two")

    await asyncio.to_thread(story)


async def test_each_kind_of_patch_keeps_to_the_resource_version(admin: Kube, config_map: str) -> None:
    def story() -> None:
        for kind, body in (
            ("merge", {"data": {"b": "merge"}}),
            ("strategic", {"data": {"b": "strategic"}}),
            ("json", [{"op": "add", "path": "/data/b", "value": "json"}]),
        ):
            present = admin.get(config_map)
            assert present is not None
            version = present["metadata"]["resourceVersion"]
            found = admin.patch(config_map, body, kind=kind, resource_version=version)  # type: ignore[arg-type]
            assert found["data"]["b"] == kind
            with pytest.raises(Conflict):
                admin.patch(config_map, body, kind=kind, resource_version=version)  # type: ignore[arg-type]
            again = admin.patch(config_map, body, kind=kind)  # type: ignore[arg-type]
            assert again["metadata"]["resourceVersion"] == found["metadata"]["resourceVersion"]

    await asyncio.to_thread(story)


async def test_writes_that_come_too_late(admin: Kube, config_map: str) -> None:
    def story() -> None:
        collection = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
        with pytest.raises(AlreadyExists):
            admin.create(collection, CONFIG_MAP)
        old = admin.get(config_map)
        assert old is not None
        admin.patch(config_map, {"data": {"c": "1"}})
        with pytest.raises(Conflict):
            admin.replace(config_map, old)
        with pytest.raises(NotFound):
            admin.patch(f"{collection}/absent", {"data": {}})
        with pytest.raises(NotFound):
            admin.create("/api/v1/namespaces/absent/configmaps", {**CONFIG_MAP, "metadata": {"name": "x"}})

    await asyncio.to_thread(story)


async def test_what_the_api_server_will_not_take(admin: Kube) -> None:
    def story() -> None:
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "A_"}, "spec": {"ports": []}}
        with pytest.raises(Invalid, match=r"spec\.ports: Required value"):
            admin.create(f"/api/v1/namespaces/{NAMESPACE}/services", service)
        pod = {"priorityClassName": "absent", "containers": [{"name": "a", "image": "b"}]}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "a-"}, "spec": pod}
        with pytest.raises(AdmissionDenied, match="is forbidden"):
            admin.create(f"/api/v1/namespaces/{NAMESPACE}/pods", body)

    await asyncio.to_thread(story)


async def test_a_list_comes_in_pages(admin: Kube) -> None:
    def story() -> None:
        collection = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
        for number in range(5):
            labels = {"page": "yes"}
            metadata = {"name": f"page-{number}", "labels": labels}
            admin.create(collection, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
        before = admin.requests
        found = list(admin.list_items(collection, label_selector="page=yes", limit=2))
        assert [item["metadata"]["name"] for item in found] == [f"page-{number}" for number in range(5)]
        assert admin.requests == before + 3
        names = list(admin.list_items(collection, field_selector="metadata.name=page-3"))
        assert len(names) == 1

    await asyncio.to_thread(story)


async def test_paths_by_discovery(admin: Kube) -> None:
    def story() -> None:
        deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "namespace": "b"}}
        assert admin.path_of(deployment) == "/apis/apps/v1/namespaces/b/deployments/a"
        before = admin.requests
        assert admin.resource("apps/v1", "DaemonSet") == Resource("daemonsets", namespaced=True)
        assert admin.requests == before
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}
        assert admin.path_of(node, namespace="ignored") == "/api/v1/nodes/n"
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}}
        assert admin.path_of(service, namespace="c") == "/api/v1/namespaces/c/services/s"
        assert admin.collection_of("v1", "Pod") == "/api/v1/pods"
        with pytest.raises(UnknownKind, match=r"serves no Thing of none\.example\.com/v1"):
            admin.path_of({"apiVersion": "none.example.com/v1", "kind": "Thing", "metadata": {"name": "x"}})

    await asyncio.to_thread(story)


async def test_a_token_that_is_new_at_each_request(admin: Kube, control_plane: ControlPlane) -> None:
    def story() -> None:
        path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
        admin.create(path, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader"}})
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {"name": "reader"}}
        real = admin.create(f"{path}/reader/token", {**review, "spec": {"audiences": []}})["status"]["token"]
        tokens = iter(["worthless", real])
        access = ControlPlaneAccess(
            endpoint=control_plane.endpoint.rpartition("/")[2], ca_pem=control_plane.ca_pem.decode()
        )
        with connect(access, lambda: "worthless") as kube, pytest.raises(Unauthorized):
            kube.create(f"{path}/reader/token", review)
        with connect(access, lambda: next(tokens), cluster="projects/p") as kube:
            with pytest.raises(IamNotReady, match=f"system:serviceaccount:{NAMESPACE}:reader.* cannot list") as raised:
                kube.get("/api/v1/nodes")
            assert raised.value.cluster == "projects/p"
            assert kube.requests == 2

    await asyncio.to_thread(story)


@contextlib.contextmanager
def served(answer: Answerer) -> Iterator[tuple[Kube, HttpsServer]]:
    with https_server(answer) as server:
        access = ControlPlaneAccess(endpoint=server.endpoint, ca_pem=server.ca_pem)
        with connect(access, lambda: "t0ken", cluster="projects/p") as kube:
            yield kube, server


def test_every_request_has_the_token_and_goes_over_one_connection() -> None:
    with served(lambda _: (200, b"{}")) as (kube, server):
        kube.get("/api/v1/pods")
        kube.create("/api/v1/pods", {})
        kube.apply("/api/v1/pods/x", {"metadata": {}}, field_manager="me", force=True, dry_run=True)
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer t0ken"] * 3
    apply = server.requests[2]
    assert (apply.method, apply.headers["content-type"]) == ("PATCH", "application/apply-patch+yaml")
    expected = {"fieldManager": ["me"], "force": ["true"], "dryRun": ["All"]}
    assert parse_qs(urlsplit(apply.path).query) == expected
    assert json.loads(apply.body) == {"metadata": {}}


CALLS: dict[str, Callable[[Kube], object]] = {
    "GET": lambda kube: kube.get("/x"),
    "DELETE": lambda kube: kube.delete("/x"),
    "PATCH": lambda kube: kube.patch("/x", {}),
    "POST, dry": lambda kube: kube.create("/x", {}, dry_run=True),
    "PUT": lambda kube: kube.replace("/x", {}),
    "POST": lambda kube: kube.create("/x", {}),
    "PATCH, of a version": lambda kube: kube.patch("/x", {}, resource_version="1"),
    "PATCH, JSON": lambda kube: kube.patch("/x", [], kind="json"),
}
HARMLESS = ("GET", "DELETE", "PATCH", "POST, dry")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("answer", [Cut(), (500, b""), (503, b""), (429, b""), (401, b"")])
def test_what_may_be_carried_out_twice_is_repeated(monkeypatch: pytest.MonkeyPatch, call: str, answer: Answer) -> None:
    monkeypatch.setattr("shared.kube.repeating.PAUSES", (0.0, 0.001, 0.002))
    unseen = isinstance(answer, tuple) and answer[0] in (401, 429)
    with served(lambda _: answer) as (kube, server), pytest.raises(Temporary) as raised:
        CALLS[call](kube)
    assert len(server.requests) == (4 if unseen or call in HARMLESS else 1)
    assert kube.requests == len(server.requests)
    assert (raised.value.tried, raised.value.cluster) == (f"{call.partition(',')[0]} /x", "projects/p")


@pytest.mark.parametrize("answer", [Cut(), (503, b""), (429, b""), (401, b"")])
def test_a_passing_fault_is_not_noticed(monkeypatch: pytest.MonkeyPatch, answer: Answer) -> None:
    monkeypatch.setattr("shared.kube.repeating.PAUSES", (0.0, 0.0, 0.0))
    left: list[Answer] = [answer, answer, (200, b"{}")]
    with served(lambda _: left.pop(0)) as (kube, server):
        assert kube.get("/x") == {}
    assert len(server.requests) == 3


def test_a_webhook_that_cannot_be_called_is_news() -> None:
    body = json.dumps({"kind": "Status", "message": 'failed calling webhook "x"'}).encode()
    with served(lambda _: (500, body)) as (kube, server), pytest.raises(Unavailable, match="failed calling webhook"):
        kube.create("/x", {}, dry_run=True)
    assert len(server.requests) == 1


def test_a_token_that_is_refused_is_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.kube.repeating.PAUSES", (0.0, 0.0, 0.0))

    class Credentials:
        valid = True
        token = "old"

        def refresh(self, _request: object) -> None:
            self.token = "new"

    def answer(request: Request) -> Answer:
        return (200, b"{}") if request.headers["authorization"] == "Bearer new" else (401, b"")

    with https_server(answer) as server:
        access = ControlPlaneAccess(endpoint=server.endpoint, ca_pem=server.ca_pem)
        with connect(access, AccountToken(Credentials())) as kube:
            assert kube.get("/x") == {}
    assert [one.headers["authorization"] for one in server.requests] == ["Bearer old", "Bearer new"]


def test_a_slow_api_server_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.kube.patience.FIRST_ANSWER", 0.1)
    released = threading.Event()

    def hang(_: Request) -> Answer:
        released.wait(30)
        return Cut()

    with served(hang) as (kube, _):
        try:
            with pytest.raises(Unavailable, match="ReadTimeoutError"):
                kube.get("/x")
        finally:
            released.set()


def test_an_api_server_that_uses_up_all_patience_is_unavailable() -> None:
    access_given = pages((200, {}), (200, {}))
    with https_server(access_given) as server:
        access = ControlPlaneAccess(endpoint=server.endpoint, ca_pem=server.ca_pem)
        with connect(access, lambda: "t", patience=0.0) as kube, pytest.raises(Unavailable, match="is too slow"):
            kube.get("/x")
    assert server.requests == []


def test_where_patience_is_limited_who_only_fails_is_repeated_once() -> None:
    with https_server(lambda _: (503, b"{}")) as server:
        access = ControlPlaneAccess(endpoint=server.endpoint, ca_pem=server.ca_pem)
        with connect(access, lambda: "t", patience=60.0) as kube, pytest.raises(Unavailable, match="HTTP 503"):
            kube.get("/x")
    assert len(server.requests) == 2


def test_who_takes_connections_and_says_nothing_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.kube.patience.CONNECT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        access = ControlPlaneAccess(endpoint=f"127.0.0.1:{silent.getsockname()[1]}")
        with connect(access, lambda: "t") as kube, pytest.raises(Unavailable, match="timed out"):
            kube.get("/x")


def test_nobody_listens() -> None:
    with https_server(lambda _: Cut()) as server:
        pass
    access = ControlPlaneAccess(endpoint=server.endpoint, ca_pem=server.ca_pem)
    with connect(access, lambda: "t") as kube, pytest.raises(Unavailable, match="can't be reached: NewConnectionError"):
        kube.get("/x")


def test_a_certificate_of_another_authority_has_words_of_its_own() -> None:
    with (
        https_server(lambda _: (200, b"{}")) as server,
        https_server(lambda _: (200, b"{}")) as other,
        connect(ControlPlaneAccess(endpoint=server.endpoint, ca_pem=other.ca_pem), lambda: "t") as kube,
        pytest.raises(Unavailable, match=r"TLS to the API server failed: .*CERTIFICATE_VERIFY_FAILED") as raised,
    ):
        kube.get("/x")
    assert "the CA belongs to the endpoint" in raised.value.remedy
    assert server.requests == []


def test_without_an_authority_of_its_own_the_systems_are_asked() -> None:
    with (
        https_server(lambda _: (200, b"{}")) as server,
        connect(ControlPlaneAccess(endpoint=server.endpoint), lambda: "t") as kube,
        pytest.raises(Unavailable, match="TLS to the API server failed"),
    ):
        kube.get("/x")


EXPIRED = {"kind": "Status", "code": 410, "reason": "Expired", "message": "The provided continue parameter is too old"}


def pages(*answers: tuple[int, dict[str, Any]]) -> Answerer:
    left = iter([(code, json.dumps(body).encode()) for code, body in answers])
    return lambda _: next(left)


def test_an_expired_list_goes_on_with_the_token_that_is_offered() -> None:
    first = {"metadata": {"continue": "one"}, "items": [{"n": 1}]}
    last = {"metadata": {}, "items": [{"n": 2}]}
    offered = {**EXPIRED, "metadata": {"continue": "two"}}
    with served(pages((200, first), (410, offered), (200, last))) as (kube, server):
        assert list(kube.list_items("/api/v1/pods")) == [{"n": 1}, {"n": 2}]
    tokens = [parse_qs(urlsplit(request.path).query).get("continue") for request in server.requests]
    assert tokens == [None, ["one"], ["two"]]


def test_an_expired_list_without_an_offer_is_tried_again_later() -> None:
    first = {"metadata": {"continue": "one"}, "items": None}
    with served(pages((200, first), (410, EXPIRED))) as (kube, _), pytest.raises(Unavailable, match="HTTP 410"):
        list(kube.list_items("/api/v1/pods"))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RefreshError("no metadata server"), "CredentialsUnavailable"),  # type: ignore[no-untyped-call]
        (Temporary("CredentialsUnavailable", "no metadata server"), "CredentialsUnavailable"),
    ],
)
def test_a_token_that_cannot_be_had_is_temporary(error: Exception, reason: str) -> None:
    def token() -> str:
        raise error

    access = ControlPlaneAccess(endpoint="127.0.0.1:1")
    with connect(access, token) as kube, pytest.raises(Temporary, match="no metadata server") as raised:
        kube.get("/x")
    assert raised.value.reason == reason


class Credentials:
    """What google.auth.default finds, with tokens that can be worn out."""

    def __init__(self) -> None:
        self.valid = False
        self.token = "none"
        self.refreshed = 0

    def refresh(self, _request: object) -> None:
        self.refreshed += 1
        self.valid = True
        self.token = f"token-{self.refreshed}"


def test_the_functions_own_token_is_refreshed_when_it_has_run_out(monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = Credentials()
    scopes: list[list[str]] = []

    def found(*, scopes: list[str], into: list[list[str]] = scopes) -> tuple[Credentials, None]:
        into.append(scopes)
        return credentials, None

    monkeypatch.setattr("google.auth.default", found)
    token = default_token()
    assert [token(), token()] == ["token-1", "token-1"]
    credentials.valid = False
    assert token() == "token-2"
    assert scopes == [["https://www.googleapis.com/auth/cloud-platform"]]


def test_missing_credentials_are_temporary(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(**_: object) -> None:
        raise DefaultCredentialsError("none found")  # type: ignore[no-untyped-call]

    monkeypatch.setattr("google.auth.default", none)
    with pytest.raises(Temporary, match="none found"):
        default_token()


@pytest.mark.parametrize("content", [None, "", "{}", "apiVersion: v1\nkind: Config\ncurrent-context: none\n"])
def test_a_kubeconfig_that_cannot_be_used_is_refused(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "kubeconfig"
    if content is not None:
        path.write_text(content)
    with pytest.raises(Refused, match="BadKubeconfig"):
        from_kubeconfig(path)


def test_a_bodys_end_that_never_comes_is_a_cut_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> bytes:
        raise urllib3.exceptions.ProtocolError("Connection broken")

    monkeypatch.setattr("kubernetes.client.rest.RESTResponse.read", broken)
    with served(lambda _: (200, b"{}")) as (kube, _), pytest.raises(Unavailable, match="Connection broken"):
        kube.create("/x", {})
