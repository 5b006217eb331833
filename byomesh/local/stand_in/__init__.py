"""A stand-in for many clusters' API servers at once: objects in memory, no etcd, no controllers, one process.

It keeps what clients rely on: names that are taken, resourceVersions, generations, server-side apply, dry runs, API
discovery, Warden's and the proxy injector's word on pods; and pods that run as soon as a Deployment asks for them. It
doesn't default fields, doesn't know who holds which field, and doesn't watch. What a real API server makes of a
request is shown by the contract tests, and by the real clusters of the local cloud.
"""

from byomesh.local.stand_in.server import Fault, Manner, Request, StandIn
from byomesh.local.stand_in.store import Store

__all__ = ["Fault", "Manner", "Request", "StandIn", "Store"]
