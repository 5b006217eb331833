"""Pub/Sub: Google's own pstest for topics and subscriptions, and what it lacks: push, backoff and true dead letters."""

from byomesh.local.pubsub.backoff import DeadLetterPolicy, RetryPolicy
from byomesh.local.pubsub.message import Message
from byomesh.local.pubsub.push import PushSubscription
from byomesh.local.pubsub.rest import publish_routes
from byomesh.local.pubsub.service import DeadLetter, PubSub, serving

__all__ = [
    "DeadLetter",
    "DeadLetterPolicy",
    "Message",
    "PubSub",
    "PushSubscription",
    "RetryPolicy",
    "publish_routes",
    "serving",
]
