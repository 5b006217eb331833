"""An API server in memory under the real Kubernetes door: what is asked for, written and refused, without a socket.

It keeps just what the stages rely on: absence, taken names, resourceVersions, dry runs, and fields held by others where
a test says so. What a real API server makes of an apply is shown by the contract tests.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shared.kube import Kube

Json = dict[str, Any]
Answer = tuple[int, Json]

_KINDS: dict[str, tuple[tuple[str, str, bool], ...]] = {
    "/api/v1": (
        ("configmaps", "ConfigMap", True),
        ("namespaces", "Namespace", False),
        ("nodes", "Node", False),
        ("pods", "Pod", True),
        ("secrets", "Secret", True),
        ("serviceaccounts", "ServiceAccount", True),
        ("services", "Service", True),
    ),
    "/apis/apps/v1": (("deployments", "Deployment", True), ("replicasets", "ReplicaSet", True)),
    "/apis/apiextensions.k8s.io/v1": (("customresourcedefinitions", "CustomResourceDefinition", False),),
    "/apis/admissionregistration.k8s.io/v1": (
        ("mutatingwebhookconfigurations", "MutatingWebhookConfiguration", False),
    ),
    "/apis/scheduling.k8s.io/v1": (("priorityclasses", "PriorityClass", False),),
    "/apis/rbac.authorization.k8s.io/v1": (("rolebindings", "RoleBinding", True),),
    "/apis/coordination.k8s.io/v1": (("leases", "Lease", True),),
}
_COLLECTIONS = {plural for kinds in _KINDS.values() for plural, _, _ in kinds}


def refusal(code: int, reason: str, message: str, **more: Any) -> Answer:
    """An API server's Status."""
    return code, {"kind": "Status", "reason": reason, "message": message, "code": code, **more}


def denial(words: str) -> Answer:
    """What an API server answers where its admission control says no."""
    return refusal(403, "Forbidden", words)


class MemoryKube(Kube):
    """One cluster.

    Attributes:
        objects: what is there, by path.
        writes: method and path of each write that changed something, in order.
        answers: what is answered in place of the truth, by method and path.
        held: called with the path of an apply without force; the (manager, field) pairs that stand against it.
    """

    def __init__(self, objects: Mapping[str, Json] | None = None) -> None:
        self._cluster = "projects/shop/locations/europe-west1/clusters/eu-1"
        self._resources = {}
        self._lock = threading.Lock()
        self._guard = threading.RLock()
        self.requests = 0
        self._version = 0
        self.objects: dict[str, Json] = {}
        self.writes: list[str] = []
        self.answers: dict[tuple[str, str], Answer] = {}
        self.held: Callable[[str], Sequence[tuple[str, str]]] = lambda _path: ()
        for path, obj in (objects or {}).items():
            self.put(path, obj)

    def put(self, path: str, obj: Json) -> Json:
        """Somebody else writes."""
        self._version += 1
        obj = copy.deepcopy(obj)
        metadata = obj.setdefault("metadata", {})
        metadata["name"] = path.rpartition("/")[2]
        if "/namespaces/" in path.rpartition("/")[0]:
            metadata["namespace"] = path.partition("/namespaces/")[2].partition("/")[0]
        metadata["resourceVersion"] = str(self._version)
        self.objects[path] = obj
        return obj

    def close(self) -> None:
        """Nothing to cut."""

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        content_type: str = "",
    ) -> tuple[int, bytes]:
        with self._guard:
            self.requests += 1
            given: Any = json.loads(json.dumps(body))
            code, answer = self.answers.get((method, path)) or self._answer(
                method, path, dict(query or {}), given, content_type
            )
            return code, json.dumps(answer).encode()

    def _answer(self, method: str, path: str, query: dict[str, str], body: Json, content_type: str) -> Answer:
        match method:
            case "GET":
                return self._read(path, query)
            case "POST":
                return self._made(f"{path}/{body['metadata'].get('name') or 'generated'}", body, query)
            case "DELETE":
                return self._removed(path)
            case _:
                return self._changed(method, path, query, body, content_type)

    def _made(self, path: str, body: Json, query: dict[str, str]) -> Answer:
        if path in self.objects:
            return refusal(409, "AlreadyExists", f"{path} already exists")
        return self._stored("POST", path, body, query)

    def _removed(self, path: str) -> Answer:
        if self.objects.pop(path, None) is None:
            return refusal(404, "NotFound", f"{path} not found")
        self.writes.append(f"DELETE {path}")
        return 200, {}

    def _changed(self, method: str, path: str, query: dict[str, str], body: Json, content_type: str) -> Answer:
        there = self.objects.get(path)
        if there is None and "apply" not in content_type:
            return refusal(404, "NotFound", f"{path} not found")
        wanted = body["metadata"].get("resourceVersion")
        if there is not None and wanted not in (None, there["metadata"]["resourceVersion"]):
            return refusal(409, "Conflict", "the object has been modified")
        held = self.held(path) if query.get("force") == "false" else ()
        if held:
            causes = [
                {"reason": "FieldManagerConflict", "message": f'conflict with "{manager}"', "field": field}
                for manager, field in held
            ]
            return refusal(409, "Conflict", f"Apply failed with {len(held)} conflicts", details={"causes": causes})
        if method == "PATCH":
            body = _merged(there or {}, body, by_name="strategic" in content_type)
        return self._stored(method, path, body, query)

    def _read(self, path: str, query: dict[str, str]) -> Answer:
        if path in _KINDS:
            found = [
                {"name": plural, "kind": kind, "namespaced": namespaced} for plural, kind, namespaced in _KINDS[path]
            ]
            return 200, {"resources": found}
        if path in self.objects:
            return 200, self.objects[path]
        if path.rpartition("/")[2] not in _COLLECTIONS:
            return refusal(404, "NotFound", f"{path} not found")
        key, _, value = query.get("fieldSelector", "").partition("=")
        items = [
            obj
            for name, obj in self.objects.items()
            if _is_in(path, name.rpartition("/")[0])
            and (not key or obj.get(key) == value)
            and _is_selected(obj, query.get("labelSelector", ""))
        ]
        return 200, {"metadata": {}, "items": items}

    def _stored(self, method: str, path: str, obj: Json, query: dict[str, str]) -> Answer:
        namespace = path.partition("/namespaces/")[2].partition("/")
        if namespace[2] and namespace[0] != "default" and f"/api/v1/namespaces/{namespace[0]}" not in self.objects:
            return refusal(404, "NotFound", f'namespaces "{namespace[0]}" not found')
        obj = copy.deepcopy(obj)
        managers = obj.setdefault("metadata", {}).setdefault("managedFields", [])
        if {"manager": query["fieldManager"]} not in managers:
            managers.append({"manager": query["fieldManager"]})
        if query.get("dryRun") or _same(self.objects.get(path), obj):
            return 200, obj
        self.writes.append(f"{method} {path}")
        return (201 if method == "POST" else 200), self.put(path, obj)


def _is_in(path: str, collection: str) -> bool:
    """Whether a list of `path` has what is in `collection`: the same, or one namespace's part of it."""
    root, inside, rest = collection.partition("/namespaces/")
    return path == collection or bool(inside and path == f"{root}/{rest.partition('/')[2]}")


def _is_selected(obj: Json, selector: str) -> bool:
    """Whether an object bears the labels of a selector: `a=b`, or `a` alone, with commas between."""
    labels = obj.get("metadata", {}).get("labels") or {}
    for one in filter(None, selector.split(",")):
        key, equals, value = one.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    return True


def _same(there: Json | None, obj: Json) -> bool:
    def plain(one: Json) -> Json:
        return {**one, "metadata": {key: one["metadata"][key] for key in one["metadata"] if key != "resourceVersion"}}

    return there is not None and plain(there) == plain(obj)


def _merged(there: Any, change: Any, *, by_name: bool) -> Any:
    if isinstance(there, dict) and isinstance(change, dict):
        merged = {**there}
        for key, value in change.items():
            merged[key] = _merged(there.get(key), value, by_name=by_name)
        return merged
    if (
        by_name
        and isinstance(there, list)
        and isinstance(change, list)
        and all(isinstance(one, dict) for one in change)
    ):
        changes = {one["name"]: one for one in change}
        return [_merged(one, changes.get(one["name"], {}), by_name=by_name) for one in there]
    return change
