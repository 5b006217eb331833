"""One stand-in cluster: its objects by path, and what becomes of each request; no sockets."""

from __future__ import annotations

import datetime as dt
import itertools
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from byomesh.local.stand_in import kinds
from byomesh.local.stand_in.kinds import Json, Kind
from byomesh.local.stand_in.merging import PatchError, applied, json_patched, merged, strategic

Answer = tuple[int, Json]
_BOOKKEEPING = ("managedFields", "resourceVersion", "generation", "creationTimestamp", "uid")
_NAMESPACES = "/api/v1/namespaces"


class Denied(Exception):
    """Admission control says no, in these words."""


class Path(msgspec.Struct, frozen=True):
    """A request's path, read.

    Attributes:
        kind: what it is about.
        namespace: "" where it names none.
        name: "" for a collection.
        part: a subresource, or "".
    """

    kind: Kind
    namespace: str
    name: str
    part: str

    @property
    def collection(self) -> str:
        """The path of the objects beside it."""
        inside = f"/namespaces/{self.namespace}" if self.namespace else ""
        return f"{self.kind.root}{inside}/{self.kind.plural}"


class Write(msgspec.Struct, frozen=True):
    """A change before it is admitted.

    Attributes:
        path: the object's.
        there: the present object; None for a new one.
        wished: the object as it would be.
        dry_run: whether nothing is to be kept.
    """

    path: Path
    there: Json | None
    wished: Json
    dry_run: bool


class Store:
    """The objects of one cluster. An object that was handed out is never changed; a new one takes its place.

    Attributes:
        admit: called with each change: mutates and judges; raises Denied.
        settled: called after each change that was kept.
        writes: method and path of each change that was kept, in order.
    """

    def __init__(self, clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)) -> None:
        self.admit: Callable[[Write], Json] = lambda write: write.wished
        self.settled: Callable[[Path, Json], None] = lambda _path, _obj: None
        self.writes: list[str] = []
        self._clock = clock
        self._kinds: dict[tuple[str, str], Kind] = {(one.root, one.plural): one for one in kinds.BUILT_IN}
        self._objects: dict[str, dict[str, Json]] = {}
        self._versions = itertools.count(1)
        self._numbers = itertools.count(1)

    @property
    def kinds(self) -> Iterator[Kind]:
        """All that is served."""
        return iter(self._kinds.values())

    def get(self, path: str) -> Json | None:
        """An object; None where there is none."""
        collection, _, name = path.rpartition("/")
        return self._objects.get(collection, {}).get(name)

    def put(self, path: str, obj: Mapping[str, Any]) -> Json:
        """Write an object as the cluster itself does: nobody admits it, and nothing follows."""
        read = self.read(path)
        if read is None:
            raise LookupError(path)
        return self._keep(read, self.get(path), dict(obj))

    def remove(self, path: str) -> None:
        """Delete an object as the cluster itself does."""
        collection, _, name = path.rpartition("/")
        self._objects.get(collection, {}).pop(name, None)

    def objects(self, plural: str) -> Iterator[tuple[str, Json]]:
        """Path and object of all of a plural, in every namespace."""
        for collection, held in self._objects.items():
            if collection.endswith(f"/{plural}"):
                yield from ((f"{collection}/{name}", obj) for name, obj in held.items())

    def read(self, path: str) -> Path | None:
        """What a path is about; None where nothing like it is served."""
        parts = path.strip("/").split("/")
        length = 2 if parts[0] == "api" else 3
        root, rest = "/" + "/".join(parts[:length]), parts[length:]
        namespace = ""
        if rest[:1] == ["namespaces"] and len(rest) > 2:  # noqa: PLR2004 - the namespace itself and its parts are shorter
            namespace, rest = rest[1], rest[2:]
        kind = self._kinds.get((root, rest[0])) if rest else None
        if kind is None:
            return None
        name, part = [*rest[1:], "", ""][:2]
        return Path(kind, namespace, name, part)

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any, content_type: str = "") -> Answer:
        """Answer a request as an API server does."""
        read = self.read(path)
        if read is None:
            return refusal(HTTPStatus.NOT_FOUND, "NotFound", "the server could not find the requested resource")
        try:
            return self._carried_out(method, read, query, body, content_type)
        except Denied as denied:
            return refusal(HTTPStatus.FORBIDDEN, "Forbidden", str(denied))
        except PatchError as error:
            return refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid", str(error))

    def _carried_out(self, method: str, path: Path, query: Mapping[str, str], body: Any, content_type: str) -> Answer:
        match method:
            case "GET":
                return self._found(path, query)
            case "POST":
                return self._created(path, query, body)
            case "DELETE":
                return self._deleted(path, query)
            case _:
                return self._changed(method, path, query, body, content_type)

    def _found(self, path: Path, query: Mapping[str, str]) -> Answer:
        if path.name:
            obj = self.get(f"{path.collection}/{path.name}")
            return (200, obj) if obj is not None else _not_found(path)
        if path.namespace or not path.kind.namespaced:
            held = list(self._objects.get(path.collection, {}).values())
        else:
            ending, root = f"/{path.kind.plural}", f"{path.kind.root}/namespaces/"
            held = [
                obj
                for collection, objects in self._objects.items()
                if collection.startswith(root)
                and collection.endswith(ending)
                and collection.count("/") == root.count("/") + 1
                for obj in objects.values()
            ]
        items = [one for one in held if selected(one, query.get("labelSelector", ""), query.get("fieldSelector", ""))]
        listed = {"kind": f"{path.kind.kind}List", "apiVersion": path.kind.api_version}
        return 200, {**listed, "metadata": {"resourceVersion": str(next(self._versions))}, "items": items}

    def _created(self, path: Path, query: Mapping[str, str], body: Json) -> Answer:
        metadata = body.get("metadata") or {}
        name = metadata.get("name") or f"{metadata.get('generateName', '')}{next(self._numbers):05}"
        path = msgspec.structs.replace(path, name=name)
        if self.get(f"{path.collection}/{name}") is not None:
            words = f'{path.kind.plural} "{name}" already exists'
            return refusal(HTTPStatus.CONFLICT, "AlreadyExists", words)
        return self._written("POST", path, None, body, query)

    def _changed(self, method: str, path: Path, query: Mapping[str, str], body: Any, content_type: str) -> Answer:
        there = self.get(f"{path.collection}/{path.name}")
        applies = "apply" in content_type
        if there is None and not applies:
            return _not_found(path)
        wanted = (body.get("metadata") or {}).get("resourceVersion") if isinstance(body, dict) else _tested(body)
        if there is not None and wanted not in (None, "", there["metadata"]["resourceVersion"]):
            words = f'Operation cannot be fulfilled on {path.kind.plural} "{path.name}": the object has been modified'
            return refusal(HTTPStatus.CONFLICT, "Conflict", words)
        if method == "PUT":
            wished = body
        elif applies:
            wished = applied(there, body)
        elif "json-patch" in content_type:
            wished = json_patched(there or {}, [one for one in body if one["path"] != "/metadata/resourceVersion"])
        elif "strategic" in content_type:
            wished = strategic(there, body)
        else:
            wished = merged(there, body)
        return self._written(method, path, there, wished, query, operation="Apply" if applies else "Update")

    def _deleted(self, path: Path, query: Mapping[str, str]) -> Answer:
        place = f"{path.collection}/{path.name}"
        there = self.get(place)
        if there is None:
            return _not_found(path)
        if not query.get("dryRun"):
            self.remove(place)
            self.writes.append(f"DELETE {place}")
            if path.kind.plural == "namespaces":
                for collection in [
                    one for one in self._objects if one.startswith(f"{place}/") or f"/namespaces/{path.name}/" in one
                ]:
                    del self._objects[collection]
            if path.kind.plural == "customresourcedefinitions":
                for kind in kinds.defined_by(there):
                    self._kinds.pop((kind.root, kind.plural), None)
        return 200, {"kind": "Status", "apiVersion": "v1", "status": "Success"}

    def _written(
        self,
        method: str,
        path: Path,
        there: Json | None,
        wished: Json,
        query: Mapping[str, str],
        operation: str = "Update",
    ) -> Answer:
        if path.namespace and f"{path.namespace}" not in self._objects.get(_NAMESPACES, {}):
            return refusal(HTTPStatus.NOT_FOUND, "NotFound", f'namespaces "{path.namespace}" not found')
        dry_run = bool(query.get("dryRun"))
        wished = self._managed(path, there, wished, query.get("fieldManager", "unknown"), operation)
        wished = self.admit(Write(path, there, wished, dry_run))
        if there is not None and _plain(there) == _plain(wished):
            return 200, there
        if dry_run:
            return (201 if there is None else 200), wished
        kept = self._keep(path, there, wished)
        self.writes.append(f"{method} {path.collection}/{path.name}")
        self.settled(path, kept)
        return (201 if there is None else 200), self.get(f"{path.collection}/{path.name}") or kept

    def _managed(self, path: Path, there: Json | None, wished: Json, manager: str, operation: str) -> Json:
        """With the metadata that the API server writes; the time of a manager's entry is that of its last change."""
        before = (there or {}).get("metadata") or {}
        kept = [one for one in before.get("managedFields", ()) if one["manager"] != manager]
        mine = {
            "manager": manager,
            "operation": operation,
            "apiVersion": path.kind.api_version,
            "time": self._clock().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "fieldsType": "FieldsV1",
            "fieldsV1": {},
        }
        metadata = {
            **(wished.get("metadata") or {}),
            "name": path.name,
            "uid": before.get("uid") or str(uuid.uuid4()),
            "creationTimestamp": before.get("creationTimestamp") or mine["time"],
            "resourceVersion": before.get("resourceVersion") or "0",
            "managedFields": [*kept, mine],
        }
        if path.namespace:
            metadata["namespace"] = path.namespace
        changed = there is None or wished.get("spec") != there.get("spec")
        metadata["generation"] = int(before.get("generation", 0)) + (1 if changed else 0)
        return {**wished, "apiVersion": path.kind.api_version, "kind": path.kind.kind, "metadata": metadata}

    def _keep(self, path: Path, there: Json | None, obj: Json) -> Json:
        if "uid" not in (obj.get("metadata") or {}):
            obj = self._managed(path, there, obj, "cluster", "Update")
        metadata = {**obj["metadata"], "resourceVersion": str(next(self._versions))}
        kept = {**obj, "metadata": metadata}
        self._objects.setdefault(path.collection, {})[path.name] = kept
        if path.kind.plural == "customresourcedefinitions":
            self._kinds.update({(kind.root, kind.plural): kind for kind in kinds.defined_by(kept)})
        return kept


def refusal(code: int, reason: str, message: str) -> Answer:
    """An API server's Status."""
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return int(code), {**body, "message": message, "reason": reason, "code": int(code)}


def selected(obj: Mapping[str, Any], labels: str, fields: str) -> bool:
    """Whether an object is what a label selector and a field selector ask for."""
    own = (obj.get("metadata") or {}).get("labels") or {}
    return all(_has(own, term) for term in _terms(labels)) and all(_is(obj, term) for term in fields.split(",") if term)


def _terms(selector: str) -> list[str]:
    """A label selector's terms; the commas of `in (a, b)` part none."""
    return [one.strip() for one in re.split(r",(?![^(]*\))", selector) if one.strip()]


def _has(labels: Mapping[str, str], term: str) -> bool:
    chosen = re.fullmatch(r"(\S+) (in|notin) \(([^)]*)\)", term)
    if chosen is not None:
        values = [one.strip() for one in chosen[3].split(",")]
        return (labels.get(chosen[1]) in values) == (chosen[2] == "in")
    if term.startswith("!"):
        return term[1:] not in labels
    key, equals, value = re.match(r"([^=!]+)(==|=|!=)?(.*)", term).groups()  # type: ignore[union-attr]  # matches any term
    if not equals:
        return key in labels
    return (labels.get(key) == value) == (equals != "!=")


def _is(obj: Mapping[str, Any], term: str) -> bool:
    key, _, value = term.partition("=")
    found: Any = obj
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return str(found or "") == value.lstrip("=")


def _tested(operations: list[Json]) -> str | None:
    return next((one["value"] for one in operations if one["path"] == "/metadata/resourceVersion"), None)


def _not_found(path: Path) -> Answer:
    return refusal(HTTPStatus.NOT_FOUND, "NotFound", f'{path.kind.plural} "{path.name}" not found')


def _plain(obj: Mapping[str, Any]) -> Json:
    metadata = {key: value for key, value in obj["metadata"].items() if key not in _BOOKKEEPING}
    managers = sorted(one["manager"] for one in obj["metadata"].get("managedFields", ()))
    return {**obj, "metadata": metadata, "managers": managers}
