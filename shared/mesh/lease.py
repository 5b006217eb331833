"""One worker a cluster: the Lease `byomesh` in the namespace `byomesh-system`.

A Lease is taken only by a worker that has something to write, renewed before each long step, and given back at the end.
It lasts longer than the longest Helm run, so that a worker killed in the middle keeps others out no longer than
that; what it left half done is found by the next one, which looks again after it took the Lease.
"""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Self

import msgspec

from shared.errors import ByomeshError
from shared.kube import AlreadyExists, ClusterFault, Conflict, Kube, Unavailable

NAMESPACE = "byomesh-system"
NAME = "byomesh"
_COLLECTION = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
_PATH = f"{_COLLECTION}/{NAME}"
_CLOCKS_DIFFER = 3_600.0
"""Seconds by which two workers' clocks may differ."""
_RFC3339_MICRO = "%Y-%m-%dT%H:%M:%S.%fZ"


class HeldBy(msgspec.Struct, frozen=True):
    """Another worker has the cluster.

    Attributes:
        holder: who.
        seconds: until its Lease runs out, if it isn't renewed.
    """

    holder: str
    seconds: float


class LeaseLost(ClusterFault):
    """The Lease went to another worker; what was planned must be planned again."""


def expires_in(lease: Mapping[str, Any], now: dt.datetime) -> float:
    """Seconds until a Lease runs out; 0 where nobody holds it."""
    spec = lease.get("spec") or {}
    renewed = spec.get("renewTime") or spec.get("acquireTime")
    if not spec.get("holderIdentity") or not renewed:
        return 0.0
    duration = float(spec.get("leaseDurationSeconds") or 0)
    try:
        left = (dt.datetime.fromisoformat(renewed) - now).total_seconds() + duration
    except (ValueError, TypeError):
        # The API server lets no such time in; whatever it is, nobody renews it.
        return 0.0
    # Renewed in the future, by more than a clock that is wrong: nobody holds it, or it would be held for ever.
    return max(left, 0.0) if left <= duration + _CLOCKS_DIFFER else 0.0


class Lease:
    """A cluster held by this worker; leave the `with` block to give it back."""

    def __init__(self, kube: Kube, body: dict[str, Any], clock: Callable[[], dt.datetime]) -> None:
        self._kube = kube
        self._body = body
        self._clock = clock

    def renew(self) -> None:
        """Hold it for its whole duration again, from now.

        Raises:
            LeaseLost: another worker has taken it.
            Temporary: the API server can't be reached.
        """
        self._write(str(self._body["spec"]["holderIdentity"]))

    def keep(self) -> None:
        """Renew it once a third of its duration has passed; raises as `renew` does."""
        if expires_in(self._body, self._clock()) < self._body["spec"]["leaseDurationSeconds"] * 2 / 3:
            self.renew()

    def _write(self, holder: str) -> None:
        spec = {**self._body["spec"], "holderIdentity": holder, "renewTime": self._clock().strftime(_RFC3339_MICRO)}
        try:
            self._body = _replaced(self._kube, {**self._body, "spec": spec})
        except Conflict as error:
            raise LeaseLost(
                "LeaseLost",
                "another worker has taken this cluster's Lease",
                cluster=error.cluster,
                tried=error.tried,
                remedy="none; it is tried again with what the other worker leaves",
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._write("")
        except (ByomeshError, OSError):
            # Nothing is lost: it runs out by itself, and whatever ended the block is the news.
            return


def holder_of(request_id: str) -> str:
    """A name for one worker of install_mesh, unlike that of any other, also for the same request."""
    return f"install_mesh {request_id or 'by hand'} {uuid.uuid4().hex[:8]}"


def held(kube: Kube, now: dt.datetime) -> HeldBy | None:
    """Who has the cluster at the moment, or None; raises Temporary where the API server can't be reached."""
    there = kube.get(_PATH)
    seconds = expires_in(there, now) if there is not None else 0.0
    return HeldBy(str(there["spec"]["holderIdentity"]), seconds) if there is not None and seconds > 0 else None


def take(
    kube: Kube, holder: str, duration: float, clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
) -> Lease | HeldBy:
    """Take the cluster for `duration` seconds, or say who has it.

    Raises:
        Temporary: the API server can't be reached.
    """
    now = clock()
    spec = {
        "holderIdentity": holder,
        "leaseDurationSeconds": math.ceil(duration),
        "acquireTime": now.strftime(_RFC3339_MICRO),
        "renewTime": now.strftime(_RFC3339_MICRO),
    }
    there = kube.get(_PATH)
    try:
        if there is None:
            ensure_namespace(kube)
            metadata = {"name": NAME, "namespace": NAMESPACE}
            body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
            return Lease(kube, _created(kube, body), clock)
        seconds = expires_in(there, now)
        if seconds > 0:
            return HeldBy(str(there["spec"]["holderIdentity"]), seconds)
        return Lease(kube, _replaced(kube, {**there, "spec": spec}), clock)
    except (AlreadyExists, Conflict):
        return HeldBy("another worker that was quicker", duration)


def _created(kube: Kube, body: dict[str, Any]) -> dict[str, Any]:
    """Create the Lease; where the answer was lost, look whether it is there: nobody else has this holder's name."""
    try:
        return kube.create(_COLLECTION, body)
    except Unavailable:
        return _ours(kube, body) or kube.create(_COLLECTION, body)


def _replaced(kube: Kube, body: dict[str, Any]) -> dict[str, Any]:
    """Replace the Lease, likewise: a worker that missed the answer would wait for its own Lease to run out."""
    try:
        return kube.replace(_PATH, body)
    except Unavailable:
        return _ours(kube, body) or kube.replace(_PATH, body)


def _ours(kube: Kube, body: dict[str, Any]) -> dict[str, Any] | None:
    """The Lease as it is, where it is what was written; else None."""
    there = kube.get(_PATH)
    same = there is not None and all(
        (there["spec"].get(key) or "") == (body["spec"].get(key) or "") for key in ("holderIdentity", "renewTime")
    )
    return there if same else None


def ensure_namespace(kube: Kube) -> None:
    """Make the namespace `byomesh-system` where it is missing."""
    if kube.get(f"/api/v1/namespaces/{NAMESPACE}") is not None:
        return
    labels = {"app.kubernetes.io/managed-by": "byomesh"}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
    try:
        kube.create("/api/v1/namespaces", body)
    except AlreadyExists:
        return
