"""The requests to one cluster's API server."""

from __future__ import annotations

import contextlib
import math
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote, urlencode

import msgspec
import urllib3
from google.auth.exceptions import GoogleAuthError
from kubernetes import client

from shared import google_errors, kube_errors
from shared.kube import lists, repeating
from shared.kube.discovery import Resource, read_resources
from shared.kube.patience import Exhausted, Patience
from shared.kube_errors import Unavailable, UnknownKind

_CONNECTIONS = 16
"""Kept alive at once; more threads than that would each dial anew."""

_PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
}
_APPLY_TYPE = "application/apply-patch+yaml"


class Kube:
    """One cluster's API server. Paths are those of the REST API, such as `/api/v1/namespaces/linkerd/configmaps/x`.

    Every method raises:
        Temporary: as drawn in `shared.kube_errors`.
        AdmissionDenied: a write that admission control rejects.
        Invalid: a request that will never be taken as it is.

    Attributes:
        requests: how many requests were sent.
    """

    def __init__(
        self,
        configuration: client.Configuration,
        *,
        cluster: str = "",
        renew: Callable[[], None] | None = None,
        patience: float = math.inf,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Dials at the first request.

        Args:
            configuration: the way there.
            cluster: full resource name, for errors.
            renew: called where the API server doesn't know the token any more.
            patience: seconds that all requests together may take, repetitions and the pauses before them included.
            sleep: waits before a repetition.
        """
        # The pool's own repetitions (three by default, of writes too) would hide faults and double writes.
        configuration.retries = False
        configuration.connection_pool_maxsize = _CONNECTIONS
        self._api = client.ApiClient(configuration)
        self._cluster = cluster
        self._renew = renew
        self._sleep = sleep
        self._resources: dict[str, dict[str, Resource]] = {}
        self._lock = threading.Lock()
        self._patience = Patience(patience)
        self.requests = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Cut the connections."""
        self._api.close()  # type: ignore[no-untyped-call]

    def get_raw(self, path: str) -> bytes | None:
        """An object's JSON; None where it doesn't exist, which a reader must expect."""
        code, body = self._send("GET", path)
        return None if code == HTTPStatus.NOT_FOUND else self._checked("GET", path, code, body)

    def get(self, path: str) -> dict[str, Any] | None:
        """An object; None where it doesn't exist."""
        raw = self.get_raw(path)
        with self._readable(f"GET {path}"):
            return None if raw is None else msgspec.json.decode(raw, type=dict[str, Any])

    def list_raw(
        self, path: str, *, label_selector: str = "", field_selector: str = "", limit: int = 500
    ) -> Iterator[bytes]:
        """The JSON of each page of a list, at most `limit` objects a page; none where the kind isn't served.

        A list whose snapshot expires midway (410) goes on with the token that the API server offers for it: the later
        pages are then of a newer state, as the Kubernetes documentation says of inconsistent continuations.
        """
        selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
        query = {"limit": str(limit)} | {key: value for key, value in selectors.items() if value}
        token = ""
        while True:
            code, body = self._send("GET", path, query | ({"continue": token} if token else {}))
            if code == HTTPStatus.NOT_FOUND:
                return
            if code == HTTPStatus.GONE and (offered := kube_errors.read_status(body).metadata.continue_):
                token = offered
                continue
            yield self._checked("GET", path, code, body)
            with self._readable(f"GET {path}"):
                token = lists.next_token(body)
            if not token:
                return

    def list_items(
        self, path: str, *, label_selector: str = "", field_selector: str = "", limit: int = 500
    ) -> Iterator[dict[str, Any]]:
        """The objects of a list, read page by page; without apiVersion and kind, as the API server lists them."""
        pages = self.list_raw(path, label_selector=label_selector, field_selector=field_selector, limit=limit)
        for page in pages:
            with self._readable(f"GET {path}"):
                items = tuple(lists.items(page))
            yield from items

    def create(
        self, path: str, body: Mapping[str, Any], *, field_manager: str = "byomesh", dry_run: bool = False
    ) -> dict[str, Any]:
        """Create an object in the collection `path`; `AlreadyExists` where its name is taken."""
        return self._write("POST", path, body, "application/json", _options(field_manager, dry_run))

    def replace(
        self, path: str, body: Mapping[str, Any], *, field_manager: str = "byomesh", dry_run: bool = False
    ) -> dict[str, Any]:
        """Replace an object; `Conflict` where the body's resourceVersion isn't the present one."""
        return self._write("PUT", path, body, "application/json", _options(field_manager, dry_run))

    def apply(
        self, path: str, body: Mapping[str, Any], *, field_manager: str, force: bool = False, dry_run: bool = False
    ) -> dict[str, Any]:
        """Server-side apply; `FieldConflict` where others hold a field and `force` doesn't take it from them."""
        # A field manager's own last state is no part of what it applies; the API server rejects it.
        body = {**body, "metadata": {key: body["metadata"][key] for key in body["metadata"] if key != "managedFields"}}
        query = _options(field_manager, dry_run) | {"force": str(force).lower()}
        return self._write("PATCH", path, body, _APPLY_TYPE, query)

    def patch(
        self,
        path: str,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        kind: Literal["merge", "strategic", "json"] = "merge",
        field_manager: str = "byomesh",
        dry_run: bool = False,
        resource_version: str = "",
    ) -> dict[str, Any]:
        """Patch an object; with `resource_version`, only if it is still that one (`Conflict` otherwise).

        Custom resources take no strategic patch.
        """
        if resource_version and kind == "json":
            # Not `test`: its failure would be 422 without words; this makes the API server compare, and answer 409.
            check = {"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version}
            body = [check, *_as_sequence(body)]
        elif resource_version and isinstance(body, Mapping):
            metadata = {**body.get("metadata", {}), "resourceVersion": resource_version}
            body = {**body, "metadata": metadata}
        return self._write("PATCH", path, body, _PATCH_TYPES[kind], _options(field_manager, dry_run))

    def delete(self, path: str, *, dry_run: bool = False) -> bool:
        """Delete an object, its dependents in the background; whether it was there."""
        query = {"dryRun": "All"} if dry_run else {}
        code, body = self._send("DELETE", path, query | {"propagationPolicy": "Background"})
        if code == HTTPStatus.NOT_FOUND:
            return False
        self._checked("DELETE", path, code, body)
        return True

    def resource(self, api_version: str, kind: str) -> Resource | None:
        """What API discovery says of a kind; None where the API server doesn't serve it (yet).

        Remembered for the life of the connection; what wasn't served is asked for again, since CRDs appear.
        """
        known = self._resources.get(api_version, {})
        if kind not in known:
            raw = self.get_raw(f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}")
            with self._readable("API discovery"):
                known = read_resources(raw) if raw is not None else {}
            self._resources[api_version] = known
        return known.get(kind)

    def path_of(self, obj: Mapping[str, Any], *, namespace: str = "default") -> str:
        """The path of an object by its apiVersion, kind, namespace and name, looked up by API discovery.

        Args:
            obj: the object.
            namespace: where it is if it is namespaced and doesn't say.

        Raises:
            UnknownKind: the API server doesn't serve its kind (yet).
        """
        metadata = obj["metadata"]
        collection = self.collection_of(
            str(obj["apiVersion"]), str(obj["kind"]), namespace=metadata.get("namespace") or namespace
        )
        return f"{collection}/{quote(metadata['name'], safe='')}"

    def collection_of(self, api_version: str, kind: str, *, namespace: str = "") -> str:
        """The path of a kind's objects, in a namespace or (with "", or where the kind has none) in the whole cluster.

        Raises:
            UnknownKind: the API server doesn't serve the kind (yet).
        """
        found = self.resource(api_version, kind)
        if found is None:
            raise UnknownKind(
                "UnknownKind",
                f"the API server serves no {kind} of {api_version}",
                cluster=self._cluster,
                tried="API discovery",
                remedy="install the CRD that defines it; it is tried again",
            )
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        inside = f"/namespaces/{quote(namespace, safe='')}" if found.namespaced and namespace else ""
        return f"{root}{inside}/{found.plural}"

    def _write(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        content_type: str,
        query: dict[str, str],
    ) -> dict[str, Any]:
        code, answer = self._send(method, path, query, body=body, content_type=content_type)
        with self._readable(f"{method} {path}"):
            return msgspec.json.decode(self._checked(method, path, code, answer), type=dict[str, Any])

    @contextlib.contextmanager
    def _readable(self, tried: str) -> Iterator[None]:
        """Turn an answer that isn't of Kubernetes' shapes, as something in between may give, into `Unavailable`."""
        try:
            yield
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            words = f"the answer isn't shaped as the Kubernetes API promises: {error}"
            remedy = "see whether something stands between this system and the API server; it is tried again"
            raise kube_errors.unavailable(words, tried=tried, cluster=self._cluster, remedy=remedy) from error

    def _checked(self, method: str, path: str, code: int, body: bytes) -> bytes:
        if code < HTTPStatus.MULTIPLE_CHOICES:
            return body
        raise kube_errors.from_response(code, body, tried=f"{method} {path}", cluster=self._cluster)

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        content_type: str = "",
    ) -> tuple[int, bytes]:
        """The answer's status and body, whatever the status; repeated where that does no harm."""
        harmless = repeating.is_harmless(method, query or {}, body, content_type)
        headers = {"Accept": "application/json"} | ({"Content-Type": content_type} if content_type else {})
        target = f"{path}?{urlencode(query)}" if query else path
        tries = 0
        while True:
            tries += 1
            try:
                code, answer, retry_after = self._once(method, target, headers, body)
            except Exhausted as error:
                raise self._unavailable(f"the API server is too slow: {error}", f"{method} {path}") from error
            except (urllib3.exceptions.ProtocolError, ConnectionError) as error:
                # Cut on the way: whether it was carried out is unknown.
                if not harmless or tries > self._repetitions:
                    raise self._unreachable(error, f"{method} {path}") from error
                self._pause(repeating.PAUSES[tries - 1])
                continue
            except GoogleAuthError as error:
                raise google_errors.translate(error, tried=f"{method} {path}", cluster=self._cluster) from error
            except (client.ApiException, urllib3.exceptions.HTTPError, OSError) as error:
                raise self._unreachable(error, f"{method} {path}") from error
            pause = repeating.pause(code, answer, retry_after, tries, harmless=harmless)
            if pause is None or tries > self._repetitions:
                self._patience.answered = self._patience.answered or pause is None
                return code, answer
            if code == HTTPStatus.UNAUTHORIZED and self._renew is not None:
                self._renew()
            self._pause(pause if self._patience.lasting else repeating.PAUSES[0])

    def _once(self, method: str, target: str, headers: dict[str, str], body: object) -> tuple[int, bytes, str]:
        """Status, body and Retry-After of one request's answer."""
        request = self._api.param_serialize(method, target, header_params=headers, auth_settings=["BearerToken"])
        with self._patience.request() as timeouts:
            with self._lock:
                self.requests += 1
            response = self._api.call_api(*request[:3], body=body, _request_timeout=timeouts)
            # The whole body, so that the connection goes back to the pool.
            answer = bytes(response.read())  # type: ignore[no-untyped-call]
        return int(response.status), answer, str(response.getheader("Retry-After", ""))  # type: ignore[no-untyped-call]

    @property
    def _repetitions(self) -> int:
        return len(repeating.PAUSES) if self._patience.lasting else 1

    def _pause(self, seconds: float) -> None:
        self._patience.spend(seconds)
        self._sleep(seconds)

    def _unavailable(self, words: str, tried: str) -> Unavailable:
        return kube_errors.unavailable(words, tried=tried, cluster=self._cluster)

    def _unreachable(self, error: Exception, tried: str) -> Unavailable:
        words = ": ".join(str(getattr(error, "reason", None) or error).splitlines())
        if isinstance(error.__context__ or error, ssl.SSLError | urllib3.exceptions.SSLError):
            return kube_errors.unavailable(
                f"TLS to the API server failed: {words}",
                tried=tried,
                cluster=self._cluster,
                remedy="check that nothing intercepts the connection and that the CA belongs to the endpoint",
            )
        return self._unavailable(f"the API server can't be reached: {type(error).__name__}: {words}", tried)


def _options(field_manager: str, dry_run: bool) -> dict[str, str]:
    return {"fieldManager": field_manager} | ({"dryRun": "All"} if dry_run else {})


def _as_sequence(body: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    return [body] if isinstance(body, Mapping) else body
