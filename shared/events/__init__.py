"""CloudEvents, decoded: audit entries in either envelope, and the requests on our topics; pure."""

from shared.events.decoders import (
    AUDIT_TYPE,
    FIRST_SEEN,
    PUBSUB_TYPE,
    Event,
    attributes,
    cluster_event,
    install_request,
    message_id,
    published,
    trace,
    verify_request,
)
from shared.events.enforcing import enforcement

__all__ = [
    "AUDIT_TYPE",
    "FIRST_SEEN",
    "PUBSUB_TYPE",
    "Event",
    "attributes",
    "cluster_event",
    "enforcement",
    "install_request",
    "message_id",
    "published",
    "trace",
    "verify_request",
]
