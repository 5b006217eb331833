"""Cloud Tasks: google.cloud.tasks.v2 over gRPC, with tasks that fire when due."""

from byomesh.local.tasks.queue import NAME_KEPT_SECONDS, Mint, Queue
from byomesh.local.tasks.schedule import RateLimits, RetryConfig
from byomesh.local.tasks.service import SERVICE, CloudTasks

__all__ = ["NAME_KEPT_SECONDS", "SERVICE", "CloudTasks", "Mint", "Queue", "RateLimits", "RetryConfig"]
