"""The only door to Cloud Tasks (google-cloud-tasks): waits, claims, and the queues as the fleet's switch."""

from shared.tasks.claims import Claim, Claims, claims, key_of, seconds_left
from shared.tasks.client import publish_body
from shared.tasks.queues import Queues, QueueState, queue_of, queues
from shared.tasks.waiting import Waits, task_name, waits

__all__ = [
    "Claim",
    "Claims",
    "QueueState",
    "Queues",
    "Waits",
    "claims",
    "key_of",
    "publish_body",
    "queue_of",
    "queues",
    "seconds_left",
    "task_name",
    "waits",
]
