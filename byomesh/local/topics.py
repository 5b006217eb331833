"""The topics, push subscriptions and dead letters that Terraform would make."""

from __future__ import annotations

import contextlib

from byomesh.local.environment import Surroundings
from byomesh.local.pubsub.backoff import DeadLetterPolicy, RetryPolicy
from byomesh.local.pubsub.push import PushSubscription
from byomesh.local.pubsub.service import PubSub
from byomesh.local.statuses import Statuses

PUSHES = {
    "cluster-events": "enable_net_admin",
    "mesh-install": "install_mesh",
    "mesh-verify": "verify_mesh",
    "mesh-enforce": "enforce_policy",
}
"""Which topic is pushed to which function."""
_MAX_ATTEMPTS = 5


async def make(
    stack: contextlib.AsyncExitStack, pubsub: PubSub, surroundings: Surroundings, ports: dict[str, int]
) -> Statuses:
    """Make them, and begin to push to the functions' ports; returns who reads the statuses, until the stack unwinds."""
    statuses = Statuses()
    stack.push_async_callback(statuses.close)
    await pubsub.create_topic(surroundings.topic("mesh-status"))
    statuses.follow(await pubsub.subscribe(surroundings.topic("mesh-status")))
    for topic, function in PUSHES.items():
        full, dead = surroundings.topic(topic), surroundings.topic(f"{topic}-dead-letter")
        await pubsub.create_topic(dead)
        # What is given up waits there for an operator; a topic alone would forget it.
        await pubsub.create_pull_subscription(
            f"projects/{surroundings.project}/subscriptions/{topic}-dead-letter", dead
        )
        await pubsub.create_topic(full)
        await pubsub.create_subscription(
            PushSubscription(
                name=f"projects/{surroundings.project}/subscriptions/{topic}",
                topic=full,
                endpoint=f"http://127.0.0.1:{ports[function]}/{full}",
                target=function,
                retry=RetryPolicy(minimum=10.0, maximum=600.0),
                dead_letter=DeadLetterPolicy(dead, _MAX_ATTEMPTS),
            )
        )
    return statuses
