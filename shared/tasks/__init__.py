"""The only door to Cloud Tasks (google-cloud-tasks): waits, and the queues as the fleet's switch."""

from shared.tasks.client import publish_body
from shared.tasks.queues import Queues, QueueState, queue_of, queues
from shared.tasks.waiting import Waits, task_name, waits

__all__ = ["QueueState", "Queues", "Waits", "publish_body", "queue_of", "queues", "task_name", "waits"]
