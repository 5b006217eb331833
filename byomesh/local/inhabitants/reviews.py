"""AdmissionReviews for Linkerd's and viz's webhooks: what is read from the cluster for them, and the answers."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import functools
import json
import logging
from collections.abc import Mapping
from typing import Any

import yaml
from aiohttp import web

from byomesh.local.background import Background
from byomesh.local.inhabitants import injector
from byomesh.local.inhabitants.events import PARENTS, injection_event
from byomesh.local.inhabitants.reading import Json, Reader, ReadingError

_log = logging.getLogger(__name__)
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAP_NAME = "-tap-service-name="
_OWNERS = {"ReplicaSet": "/apis/apps/v1", "Job": "/apis/batch/v1"}
"""The kinds of pods' owners that have owners themselves, and where they are read
(linkerd2 controller/k8s/metadata_api.go, GetOwnerKindAndName)."""

_OWNERS_OF_REPLICA_SETS = ("DaemonSet", "Deployment", "Job", "StatefulSet")


class Reviews:
    """Answers the reviews of one cluster."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._mounted: dict[str, tuple[str, str]] = {}
        self._background = Background("the proxy injector")

    async def close(self) -> None:
        """Ends what is under way."""
        await self._background.aclose()

    async def answer(self, service: str, namespace: str, body: bytes) -> web.Response:
        """The answer of a Service's webhook to a review; 400 to what is none (controller/webhook/server.go).

        Raises:
            ReadingError: the cluster couldn't be read.
        """
        review = _decoded(body)
        if review is None:
            return web.Response(status=400, text="invalid admission review request")
        request = review["request"]
        try:
            patch = await self._patch(service, namespace, request)
        except injector.InjectionError as error:
            response = {"uid": request["uid"], "allowed": False, "status": {"message": str(error)}}
        else:
            response = {"uid": request["uid"], "allowed": True}
            if patch:
                response |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(patch).encode()).decode()}
        return web.json_response({**{key: review.get(key) for key in ("apiVersion", "kind")}, "response": response})

    async def _patch(self, service: str, namespace: str, request: Json) -> list[Json]:
        if service == "linkerd-proxy-injector":
            owner = await self._owner(request)
            facts = await self._facts(namespace, request, owner)
            patch = injector.patch(request, facts)
            if owner.get("kind") in PARENTS and not request.get("dryRun"):
                self._background.spawn(self._announce(request, facts, owner))
            return patch
        if service == "tap-injector":
            annotations, tap = await asyncio.gather(
                self._annotations(str(request.get("namespace"))), self._tap_name(namespace)
            )
            return injector.tap_patch(request["object"], annotations, tap)
        return []

    async def _announce(self, request: Json, facts: injector.Facts, owner: Json) -> None:
        namespace = str(request.get("namespace"))
        event = injection_event(owner, namespace, injector.skipped(request["object"], facts), dt.datetime.now(dt.UTC))
        try:
            await self._reader.create(f"/api/v1/namespaces/{namespace}/events", event)
        except ReadingError as error:
            # A namespace may be going; an Event is a courtesy.
            _log.info("no event for %s %s/%s: %s", owner["kind"], namespace, owner["name"], error)

    async def _facts(self, namespace: str, request: Json, owner: Json) -> injector.Facts:
        (values, anchors), annotations = await asyncio.gather(
            self._mounts(namespace), self._annotations(str(request.get("namespace")))
        )
        return injector.Facts(
            control_plane=namespace,
            values=_values(values),
            anchors=anchors,
            namespace_annotations=annotations,
            owner=(owner["kind"].lower(), owner["name"]) if owner else ("", ""),
        )

    async def _mounts(self, namespace: str) -> tuple[str, str]:
        """Values and trust anchors as mounted into the injector, which keeps what is deleted afterwards."""
        config, roots = await asyncio.gather(
            *(
                self._reader.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")
                for name in ("linkerd-config", "linkerd-identity-trust-roots")
            )
        )
        last_values, last_anchors = self._mounted.get(namespace, ("", ""))
        values = ((config or {}).get("data") or {}).get("values") or last_values
        anchors = ((roots or {}).get("data") or {}).get("ca-bundle.crt") or last_anchors
        if not values or not anchors:
            raise injector.InjectionError(
                "the injector has no values or trust anchors: "
                f"ConfigMaps linkerd-config and linkerd-identity-trust-roots in {namespace} must hold them"
            )
        self._mounted[namespace] = (values, anchors)
        return values, anchors

    async def _annotations(self, namespace: str) -> Mapping[str, str]:
        found = await self._reader.get(f"/api/v1/namespaces/{namespace}")
        return ((found or {}).get("metadata") or {}).get("annotations") or {}

    async def _owner(self, request: Json) -> Json:
        """The ownerReference to what a pod belongs to in the end; an empty one where that is nothing."""
        owners = _owners(request["object"])
        if len(owners) != 1:
            return {}
        owner = owners[0]
        kind = owner["kind"]
        if kind in _OWNERS:
            path = f"{_OWNERS[kind]}/namespaces/{request.get('namespace')}/{kind.lower()}s/{owner['name']}"
            above = _owners(await self._reader.get(path) or {})
            if len(above) == 1 and (kind == "Job" or above[0]["kind"] in _OWNERS_OF_REPLICA_SETS):
                return above[0]
        return owner

    async def _tap_name(self, namespace: str) -> str:
        """What the tap injector was started with (viz/charts/linkerd-viz/templates/tap-injector.yaml)."""
        found = await self._reader.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/tap-injector")
        spec = (((found or {}).get("spec") or {}).get("template") or {}).get("spec") or {}
        arguments = [word for container in spec.get("containers") or () for word in container.get("args") or ()]
        return next((word.removeprefix(_TAP_NAME) for word in arguments if word.startswith(_TAP_NAME)), "")


def _owners(body: Json) -> list[Json]:
    return list((body.get("metadata") or {}).get("ownerReferences") or ())


def _decoded(body: bytes) -> Json | None:
    try:
        review: Any = json.loads(body)
    except ValueError:
        return None
    request = review.get("request") if isinstance(review, dict) else None
    if not isinstance(request, dict) or not request.get("uid"):
        return None
    return {**review, "request": {**request, "object": request.get("object") or {}}}


@functools.lru_cache(maxsize=32)
def _values(text: str) -> Json:
    """The chart's values; shared, so nobody changes them."""
    try:
        found = yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe loader, written in C where there is one
    except yaml.YAMLError as error:
        raise injector.InjectionError(f"the values of linkerd-config are no YAML: {error}") from error
    if not isinstance(found, dict):
        raise injector.InjectionError("the values of linkerd-config are no mapping")
    return found
