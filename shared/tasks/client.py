"""Cloud Tasks' client, and the task that everything here is made of: one that publishes a message.

Its target is Pub/Sub's own REST method `topics.publish`, called with an OAuth token of the settings' service account,
so nothing of ours has to be running meanwhile.
"""

from __future__ import annotations

import base64
import datetime as dt
import functools
from collections.abc import Mapping

import msgspec
from google.cloud import tasks_v2

from shared import google_errors
from shared.config import Settings, settings

TIMEOUT = 10.0
"""Seconds for one call."""
_PUBSUB_SCOPE = "https://www.googleapis.com/auth/pubsub"


def client_of(config: Settings) -> tasks_v2.CloudTasksClient:
    """A client at the settings' endpoint.

    Raises:
        Temporary: there are no credentials (yet).
    """
    with google_errors.translated(tried="to make a client of Cloud Tasks"):
        return tasks_v2.CloudTasksClient(client_options={"api_endpoint": config.tasks_endpoint})


@functools.cache
def shared_client() -> tasks_v2.CloudTasksClient:
    """This process's client, made with its settings at the first call."""
    return client_of(settings())


def publish_body(data: bytes, attributes: Mapping[str, str]) -> bytes:
    """The body of `POST …/v1/TOPIC:publish` (google.pubsub.v1.PublishRequest as JSON); pure."""
    message = {"data": base64.b64encode(data).decode("ascii"), "attributes": dict(attributes)}
    return msgspec.json.encode({"messages": [message]})


def publishing_task(
    config: Settings, topic: str, data: bytes, attributes: Mapping[str, str], *, due: dt.datetime
) -> tasks_v2.Task:
    """A task without a name that publishes a message at `due`; pure."""
    return tasks_v2.Task(
        schedule_time=due,
        http_request=tasks_v2.HttpRequest(
            url=f"{config.pubsub_rest_endpoint}/v1/{topic}:publish",
            http_method=tasks_v2.HttpMethod.POST,
            headers={"Content-Type": "application/json"},
            body=publish_body(data, attributes),
            oauth_token=tasks_v2.OAuthToken(service_account_email=config.tasks_service_account, scope=_PUBSUB_SCOPE),
        ),
    )
