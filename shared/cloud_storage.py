"""The only door to Cloud Storage (google-cloud-storage): one small object of text, read again only where it changed.

Imported only where a setting names a `gs://` object: beside the clients that every function has, it costs a tenth of a
second (docs/decisions/0024-policy-object.md says why it and no bare HTTP). Facts are the JSON API's
(https://docs.cloud.google.com/storage/docs/json_api/v1/objects): every write gives an object a new generation;
`ifGenerationNotMatch` answers 304 where it is still the one named, and `ifGenerationMatch` 412 where it isn't, with 0
for an object that doesn't exist. A generation is written once, so what is read of one is whole and of one piece.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import google.auth
import requests
from google.api_core import exceptions
from google.auth.credentials import Credentials
from google.cloud import storage  # type: ignore[attr-defined]
from google.cloud.storage.exceptions import DataCorruption  # type: ignore[import-untyped]
from google.cloud.storage.retry import DEFAULT_RETRY  # type: ignore[import-untyped]

from shared import google_errors
from shared.config import Settings, settings
from shared.errors import Permanent, Temporary

SCHEME = "gs://"
_TIMEOUT = 5.0
_TOTAL_TIMEOUT = 8.0
"""Seconds for a call with its repetitions; a delivery waits for two of them at most."""
_RETRY = DEFAULT_RETRY.with_delay(initial=0.2, maximum=2.0).with_timeout(_TOTAL_TIMEOUT)
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_GZIP = 16 + zlib.MAX_WBITS

# Three to 63 characters, 222 with dots (https://docs.cloud.google.com/storage/docs/buckets#naming).
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_OBJECT_BYTES = 1_024


@dataclasses.dataclass(frozen=True, slots=True)
class ObjectName:
    """The name of an object.

    Attributes:
        bucket: the bucket's name.
        path: the object's own name, which may have slashes.
    """

    bucket: str
    path: str

    @classmethod
    def parse(cls, text: str) -> ObjectName:
        """A name as people and gcloud write it, `gs://BUCKET/OBJECT`.

        Raises:
            Permanent: it is none.
        """
        bucket, _, path = text.removeprefix(SCHEME).partition("/")
        fits = 0 < len(path.encode(errors="replace")) <= _OBJECT_BYTES and path.isprintable()
        if not text.startswith(SCHEME) or _BUCKET.fullmatch(bucket) is None or not fits or path.endswith("/"):
            raise Permanent(
                "BadObjectName", f"{text[:200]!r} names no object of Cloud Storage", remedy="write gs://BUCKET/OBJECT"
            )
        return cls(bucket, path)

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.path}"


@dataclasses.dataclass(frozen=True, slots=True)
class StoredObject:
    """What an object holds.

    Attributes:
        generation: changes with every write, and only rises.
        content: its bytes, unpacked where they were stored with gzip; cut where there are more than were asked for.
    """

    generation: int
    content: bytes = dataclasses.field(repr=False)


class CloudStorage:
    """Cloud Storage at the settings' endpoint; one client, made once and used by every call."""

    def __init__(self, config: Settings, credentials: Credentials | None = None) -> None:
        with _translated(tried="to make a client of Cloud Storage"):
            if credentials is None:
                credentials, _ = google.auth.default(scopes=[_SCOPE])
            # It names a project only to make and list buckets, and asks the metadata server for one if there is none.
            self._client = storage.Client(
                project=config.project or "none",
                credentials=credentials,
                client_options={"api_endpoint": config.storage_endpoint},
            )

    def read(self, name: ObjectName, limit: int, known: StoredObject | None = None) -> StoredObject | None:
        """What an object holds now; two requests where it changed, and one where it didn't.

        Args:
            name: the object.
            limit: bytes that are wanted; of a longer object `limit + 1` are returned.
            known: what was read of it before; it is returned itself where it is still so.

        Returns:
            None where there is no such object, or no such bucket. To a caller that may not list the bucket's objects,
            Cloud Storage doesn't tell what isn't there, and answers 403.

        Raises:
            Temporary: Cloud Storage can't answer, or IAM doesn't allow it (yet).
            Permanent: it will never answer this request, or the object is no gzip although it says so.
        """
        tried = f"to read {name}"
        bucket = self._client.bucket(name.bucket)
        unless = None if known is None else known.generation
        with _translated(tried=tried, needs="storage.objects.get"):
            try:
                found = bucket.get_blob(name.path, if_generation_not_match=unless, timeout=_TIMEOUT, retry=_RETRY)
            except exceptions.NotModified:
                return known
            if found is None:
                return None
            generation, packed = int(found.generation), found.content_encoding == "gzip"
            if int(found.size) > limit:
                # What is too long isn't read; its words are that it is.
                return StoredObject(generation, b" " * (limit + 1))
            # By its generation, and without the link that Google's answer has, which names another endpoint.
            content = self._content(bucket.blob(name.path, generation=generation), tried)
        return StoredObject(generation, _unpacked(content, limit, tried) if packed else content)

    def replace(self, name: ObjectName, text: str, if_generation_match: int) -> int | None:
        """Write an object, if nobody else has since it was read.

        Args:
            name: the object.
            text: what it is to hold; a policy's YAML.
            if_generation_match: the generation that was read; 0 where there was no such object.

        Returns:
            The new generation; None where the object is another one by now, so that it is to be read again. That is
            so, too, where an answer got lost and the repeated request met this call's own write.

        Raises:
            Temporary: Cloud Storage can't answer, or IAM doesn't allow it (yet).
            Permanent: it will never do so, for one because there is no such bucket.
        """
        blob = self._client.bucket(name.bucket).blob(name.path)
        with _translated(tried=f"to write {name}", needs="storage.objects.create and storage.objects.delete"):
            try:
                blob.upload_from_string(
                    text,
                    content_type="application/yaml",
                    if_generation_match=if_generation_match,
                    timeout=_TIMEOUT,
                    retry=_RETRY,
                )
            except exceptions.PreconditionFailed:
                return None
            return int(blob.generation)

    @staticmethod
    def _content(blob: storage.Blob, tried: str) -> bytes:
        try:
            # As it is stored, so that its length is the one that was looked at; the client holds it to its checksum.
            content: bytes = blob.download_as_bytes(raw_download=True, timeout=_TIMEOUT, retry=_RETRY)
        except exceptions.NotFound as error:
            problem = f"generation {blob.generation} was replaced while it was read"
            raise Temporary("ObjectChanged", problem, tried=tried, remedy="none; it is tried again") from error
        return content


def _unpacked(content: bytes, limit: int, tried: str) -> bytes:
    unpacker = zlib.decompressobj(_GZIP)
    try:
        found = unpacker.decompress(content, limit + 1)
    except zlib.error as error:
        raise _no_gzip(str(error), tried) from error
    if not unpacker.eof and len(found) <= limit:
        raise _no_gzip("it ends before its end", tried)
    return found


def _no_gzip(words: str, tried: str) -> Permanent:
    problem = f"it says that it is gzip, and isn't: {words}"
    return Permanent("BadObject", problem, tried=tried, remedy="upload it again, without --gzip-local")


@contextmanager
def _translated(*, tried: str, needs: str = "") -> Iterator[None]:
    """As `google_errors.translated`; this client raises what `requests` does, too."""
    try:
        with google_errors.translated(tried=tried, needs=needs):
            yield
    except (requests.RequestException, DataCorruption) as error:
        text = google_errors.describe(error)
        raise Temporary("ApiUnavailable", text, tried=tried, remedy="none; it is tried again") from error


@functools.cache
def cloud_storage() -> CloudStorage:
    """This process's door, made at the first call."""
    return CloudStorage(settings())
