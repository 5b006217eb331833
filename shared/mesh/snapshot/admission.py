"""What the API server answered when it was asked, as a dry run, to create a pod that should get a proxy."""

from __future__ import annotations

import enum

import msgspec


class Admitted(enum.StrEnum):
    """How the dry run ended."""

    INJECTED = "injected"
    """The pod came back with a proxy."""
    PLAIN = "plain"
    """The pod came back as it was sent."""
    UNCALLED = "uncalled"
    """The API server couldn't call the injector, and admits no pod without it."""
    REJECTED = "rejected"
    """The injector itself said no."""
    DENIED = "denied"
    """Something other than the injector said no, so nothing is known of the injector."""


class Admission(msgspec.Struct, frozen=True):
    """A dry run's end.

    Attributes:
        outcome: how it ended.
        namespace: in which namespace the pod would have been created.
        words: the API server's, where it said no.
    """

    outcome: Admitted
    namespace: str
    words: str = ""
