"""Cloud Storage's JSON API as far as it is used: objects in memory, read, and written with preconditions.

Methods, parameters and the words of refusals: https://docs.cloud.google.com/storage/docs/json_api/v1/objects and
.../docs/json_api/v1/status-codes; preconditions: .../docs/request-preconditions; gzip: .../docs/transcoding. Objects
are not versioned: a generation that was replaced is gone.
"""

from __future__ import annotations

import base64
import dataclasses
import gzip
import hashlib
import json
import time
import urllib.parse
from collections.abc import Callable, Collection
from typing import Any

import google_crc32c
import grpc
from aiohttp import web

from byomesh.local.rpc import Faults, RpcFailure

Caller = Callable[[str], str | None]
"""Tells the e-mail of whoever sent an Authorization header; None if it names nobody."""

_HTTP = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
}
_REASONS = {
    400: "invalid",
    401: "required",
    403: "forbidden",
    404: "notFound",
    412: "conditionNotMet",
    429: "rateLimit",
}
_CONDITIONS = ("ifGenerationMatch", "ifGenerationNotMatch", "ifMetagenerationMatch", "ifMetagenerationNotMatch")


class Refusal(Exception):
    """A request that is answered with another status than 200.

    Attributes:
        status: of HTTP.
        text: for people; 304 has none.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclasses.dataclass(frozen=True, slots=True)
class Stored:
    """An object.

    Attributes:
        bucket: its bucket.
        name: its name.
        content: its bytes as they are stored.
        generation: microseconds since 1970 when it was written, and later than what it replaced.
        content_type: as its writer said.
        content_encoding: `gzip`, or "".
    """

    bucket: str
    name: str
    content: bytes
    generation: int
    content_type: str = "application/octet-stream"
    content_encoding: str = ""

    @property
    def hashes(self) -> dict[str, str]:
        """Checksums by Google's name, in base64."""
        crc = google_crc32c.value(self.content).to_bytes(4, "big")
        md5 = hashlib.md5(self.content, usedforsecurity=False).digest()
        return {"crc32c": base64.b64encode(crc).decode(), "md5": base64.b64encode(md5).decode()}

    def resource(self, host: str) -> dict[str, Any]:
        """The object's resource, as the API answers it."""
        hashes = self.hashes
        path = f"b/{self.bucket}/o/{urllib.parse.quote(self.name, safe='')}"
        return {
            "kind": "storage#object",
            "id": f"{self.bucket}/{self.name}/{self.generation}",
            "selfLink": f"{host}/storage/v1/{path}",
            "mediaLink": f"{host}/download/storage/v1/{path}?generation={self.generation}&alt=media",
            "name": self.name,
            "bucket": self.bucket,
            "generation": str(self.generation),
            "metageneration": "1",
            "contentType": self.content_type,
            **({"contentEncoding": self.content_encoding} if self.content_encoding else {}),
            "storageClass": "STANDARD",
            "size": str(len(self.content)),
            "md5Hash": hashes["md5"],
            "crc32c": hashes["crc32c"],
            "etag": f"CL{self.generation}",
        }


class CloudStorage:
    """All buckets of the local cloud."""

    def __init__(
        self, *, readers: Collection[str], writers: Collection[str], clock: Callable[[], float] = time.time
    ) -> None:
        """Make it with no bucket.

        Args:
            readers: e-mails of the accounts that have storage.objects.get.
            writers: those that have storage.objects.create and delete, too.
            clock: seconds since 1970.
        """
        self._readers = {*readers, *writers}
        self._writers = frozenset(writers)
        self._clock = clock
        self._buckets: dict[str, dict[str, Stored]] = {}
        self.asked: dict[str, int] = {}

    def create_bucket(self, name: str) -> None:
        """Make a bucket, unless it is there."""
        self._buckets.setdefault(name, {})

    def grant(self, email: str, *, reads: bool) -> None:
        """Let an account read objects, or let it read none."""
        (self._readers.add if reads else self._readers.discard)(email)

    def may(self, email: str, permission: str) -> bool:
        """Whether an account has a permission such as `storage.objects.get`."""
        return email in (self._readers if permission == "storage.objects.get" else self._writers)

    def get(self, bucket: str, name: str, wanted: dict[str, int]) -> Stored:
        """An object; `wanted` are the request's `generation` and its preconditions.

        Raises:
            Refusal: 404, 304 or 412.
        """
        found = self._bucket(bucket).get(name)
        if found is None or wanted.get("generation", found.generation) != found.generation:
            raise Refusal(404, f"No such object: {bucket}/{name}")
        _hold(wanted, found, reading=True)
        return found

    def insert(self, stored: Stored, wanted: dict[str, int]) -> Stored:
        """Write an object of the generation 0 and answer it with its new one; raises Refusal: 404 or 412."""
        objects = self._bucket(stored.bucket)
        before = objects.get(stored.name)
        _hold(wanted, before, reading=False)
        generation = max(int(self._clock() * 1_000_000), 1 if before is None else before.generation + 1)
        objects[stored.name] = dataclasses.replace(stored, generation=generation)
        return objects[stored.name]

    def delete(self, bucket: str, name: str) -> None:
        """Forget an object; raises Refusal: 404."""
        if self._bucket(bucket).pop(name, None) is None:
            raise Refusal(404, f"No such object: {bucket}/{name}")

    def _bucket(self, name: str) -> dict[str, Stored]:
        if name not in self._buckets:
            raise Refusal(404, "The specified bucket does not exist.")
        return self._buckets[name]


def _hold(wanted: dict[str, int], found: Stored | None, *, reading: bool) -> None:
    """Hold a request to its preconditions; a generation of 0 stands for no object, and metagenerations are all 1."""
    there = {"Generation": 0 if found is None else found.generation, "Metageneration": 0 if found is None else 1}
    for key in _CONDITIONS:
        if key not in wanted:
            continue
        negated = key.endswith("NotMatch")
        what = key.removeprefix("if").removesuffix("NotMatch").removesuffix("Match")
        if (wanted[key] == there[what]) is not negated:
            continue
        if negated and reading:
            raise Refusal(304, "")
        raise Refusal(412, "At least one of the pre-conditions you specified did not hold.")


def routes(storage: CloudStorage, caller: Caller, faults: Faults) -> list[web.RouteDef]:
    """The routes to add to an aiohttp application; faults are ordered by `objects.get` and `objects.insert`."""

    async def get(request: web.Request) -> web.StreamResponse:
        bucket, name = request.match_info["bucket"], request.match_info["object"]
        found = storage.get(bucket, name, _wanted(request))
        if request.query.get("alt") != "media":
            return web.json_response(found.resource(_host(request)))
        return _media(request, found)

    async def insert(request: web.Request) -> web.StreamResponse:
        bucket, wanted = request.match_info["bucket"], _wanted(request)
        stored = storage.insert(_sent(request, bucket, await request.read()), wanted)
        return web.json_response(stored.resource(_host(request)))

    def guarded(method: str, permission: str, act: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
        async def answer(request: web.Request) -> web.StreamResponse:
            storage.asked[method] = storage.asked.get(method, 0) + 1
            try:
                faults.take(method)
                _allow(storage, caller(request.headers.get("Authorization", "")), permission)
                answered: web.StreamResponse = await act(request)
            except RpcFailure as failure:
                return _refused(Refusal(_HTTP.get(failure.code, 500), failure.text))
            except Refusal as refusal:
                return _refused(refusal)
            return answered

        return answer

    reads, writes = guarded("objects.get", "storage.objects.get", get), "storage.objects.create"
    return [
        web.get("/storage/v1/b/{bucket}/o/{object:.+}", reads),
        web.get("/download/storage/v1/b/{bucket}/o/{object:.+}", reads),
        web.post("/upload/storage/v1/b/{bucket}/o", guarded("objects.insert", writes, insert)),
    ]


def _allow(storage: CloudStorage, email: str | None, permission: str) -> None:
    if email is None:
        raise Refusal(401, "Invalid Credentials")
    if not storage.may(email, permission):
        words = f"Permission '{permission}' denied on resource (or it may not exist)."
        raise Refusal(403, f"{email} does not have {permission} access to the Google Cloud Storage object. {words}")


def _wanted(request: web.Request) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for key in ("generation", *_CONDITIONS):
        if key in request.query:
            if not request.query[key].isdecimal():
                raise Refusal(400, f"Invalid value for: {key}")
            numbers[key] = int(request.query[key])
    return numbers


def _sent(request: web.Request, bucket: str, body: bytes) -> Stored:
    """What an upload sends: the metadata and the content in one body of two parts, or the content alone."""
    kind = request.headers.get("Content-Type", "application/octet-stream")
    if request.query.get("uploadType") == "media":
        return Stored(bucket, request.query["name"], body, 0, kind)
    boundary = kind.partition("boundary=")[2].strip("\"'")
    # Two parts and nothing else: --BOUNDARY, headers, an empty line, content, and --BOUNDARY-- at the end.
    parts = body.split(f"--{boundary}".encode())
    if not boundary or len(parts) != 4 or request.query.get("uploadType") != "multipart":  # noqa: PLR2004
        raise Refusal(400, "Bad Request: this local Cloud Storage takes uploadType=multipart and media")
    (_, metadata), (headers, content) = (part[2:-2].split(b"\r\n\r\n", 1) for part in parts[1:3])
    told = json.loads(metadata)
    sent_type = headers.decode().partition(":")[2].strip()
    return Stored(bucket, told["name"], content, 0, told.get("contentType", sent_type), told.get("contentEncoding", ""))


def _media(request: web.Request, found: Stored) -> web.Response:
    """The content; unpacked, where it is stored with gzip and the request doesn't take that."""
    packed = found.content_encoding == "gzip"
    as_stored = not packed or "gzip" in request.headers.get("Accept-Encoding", "")
    headers = {
        "Content-Type": found.content_type,
        "X-Goog-Generation": str(found.generation),
        "X-Goog-Metageneration": "1",
        "X-Goog-Hash": ",".join(f"{name}={value}" for name, value in found.hashes.items()),
        "X-Goog-Stored-Content-Encoding": found.content_encoding or "identity",
        **({"Content-Encoding": "gzip"} if packed and as_stored else {}),
    }
    return web.Response(body=found.content if as_stored else gzip.decompress(found.content), headers=headers)


def _host(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}"


def _refused(refusal: Refusal) -> web.Response:
    if refusal.status == 304:  # noqa: PLR2004 - Not Modified
        return web.Response(status=304)
    error = {"domain": "global", "reason": _REASONS.get(refusal.status, "backendError"), "message": refusal.text}
    body = {"error": {"code": refusal.status, "message": refusal.text, "errors": [error]}}
    return web.json_response(body, status=refusal.status)
