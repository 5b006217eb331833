"""Pub/Sub's REST publish, as Cloud Tasks' HTTP targets call it: POST /v1/projects/P/topics/T:publish.

Request, answer and errors: cloud.google.com/pubsub/docs/reference/rest/v1/projects.topics/publish.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any

import grpc
import msgspec
from aiohttp import web

from byomesh.local.pubsub.service import PubSub

Caller = Callable[[str], str | None]
"""Tells the e-mail of whoever sent an Authorization header; None if it names nobody."""


class _Outgoing(msgspec.Struct):
    data: str = ""
    attributes: dict[str, str] = {}
    ordering_key: str = msgspec.field(default="", name="orderingKey")


class _PublishRequest(msgspec.Struct):
    messages: list[_Outgoing]


def publish_routes(pubsub: PubSub, caller: Caller) -> list[web.RouteDef]:
    """The route to add to an aiohttp application.

    Answers 200 {"messageIds": […]}; otherwise Google's error body: 401 without a known bearer token, 400 for a body
    that is no publish request or a message with neither data nor attributes, 404 for an unknown topic.
    """

    async def publish(request: web.Request) -> web.Response:
        if caller(request.headers.get("Authorization", "")) is None:
            return _error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        try:
            messages = _parsed(await request.read())
        except ValueError as error:
            return _error(400, "INVALID_ARGUMENT", str(error))
        topic = f"projects/{request.match_info['project']}/topics/{request.match_info['topic']}"
        try:
            ids = [
                await pubsub.publish(topic, data, message.attributes, ordering_key=message.ordering_key)
                for message, data in messages
            ]
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                return _error(503, "UNAVAILABLE", str(error.details()))
            return _error(404, "NOT_FOUND", f"Resource not found (resource={topic.rpartition('/')[2]}).")
        return web.json_response({"messageIds": ids})

    return [web.post("/v1/projects/{project}/topics/{topic:[^/:]+}:publish", publish)]


def _parsed(body: bytes) -> list[tuple[_Outgoing, bytes]]:
    """The messages of a publish request and their decoded data.

    Raises:
        ValueError: the body is none, or a message is empty.
    """
    try:
        messages = msgspec.json.decode(body, type=_PublishRequest).messages
        parsed = [(message, base64.b64decode(message.data, validate=True)) for message in messages]
    except (msgspec.DecodeError, binascii.Error) as error:
        raise ValueError(f"Invalid JSON payload received. {error}") from error
    if not parsed:
        raise ValueError("The value for message_count is too small. You passed 0 in the request.")
    if any(not data and not message.attributes for message, data in parsed):
        raise ValueError(
            "One or more messages in the publish request is empty. Each message must contain "
            "either non-empty data, or at least one attribute."
        )
    return parsed


def _error(code: int, status: str, text: str) -> web.Response:
    body: dict[str, Any] = {"error": {"code": code, "message": text, "status": status}}
    return web.Response(status=code, text=json.dumps(body), content_type="application/json")
