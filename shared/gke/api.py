"""The only door to the GKE API (google-cloud-container).

Reads are repeated by the library itself (GetCluster, GetOperation: 20 s in all); UpdateCluster is sent once, and its
answer is sorted: begun, busy, refused by an organisation policy, or a fault.
"""

from __future__ import annotations

import functools
import re

import msgspec
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud import container_v1

from shared import google_errors
from shared.cluster import Cluster
from shared.config import Settings, settings
from shared.errors import Permanent, Refused, shorten
from shared.gke.reading import name_of, read_cluster
from shared.model import ClusterRef

CLUSTER_GONE = "ClusterGone"
"""Reason of the Permanent error about a cluster that doesn't exist."""

_READ_TIMEOUT = 20.0
_UPDATE_TIMEOUT = 60.0

_BUSY = re.compile(
    r"incompatible operation|please wait and try again|currently being|is currently \w+ing|operation .* in progress",
    re.IGNORECASE,
)
"""Words by which GKE says that another operation runs; the code alone doesn't tell busy from other preconditions."""
_ETAG = re.compile(r"\betag\b|fingerprint", re.IGNORECASE)


class Started(msgspec.Struct, frozen=True):
    """GKE has begun the update.

    Attributes:
        operation: full name, `projects/P/locations/L/operations/O`.
    """

    operation: str


class Busy(msgspec.Struct, frozen=True):
    """GKE is at work on the cluster; the update must be asked for again.

    Attributes:
        text: GKE's words.
    """

    text: str


class OperationState(msgspec.Struct, frozen=True):
    """How far a long-running operation is.

    Attributes:
        name: full name, `projects/P/locations/L/operations/O`.
        done: whether it has ended, well or badly.
        error: GKE's words if it ended badly, else "".
        kind: such as UPDATE_CLUSTER; "" where GKE no longer knows the operation.
    """

    name: str
    done: bool
    error: str
    kind: str


class Listing(msgspec.Struct, frozen=True):
    """The clusters of a project.

    Attributes:
        clusters: those that GKE told of.
        missing_zones: locations that it couldn't reach, so that clusters may be missing
            (google.container.v1.ListClustersResponse).
    """

    clusters: tuple[Cluster, ...]
    missing_zones: tuple[str, ...] = ()


class Gke:
    """The GKE API at the settings' endpoint; one client, made once and used by every call."""

    def __init__(self, config: Settings, client: container_v1.ClusterManagerClient | None = None) -> None:
        with google_errors.translated(tried="to make a client of the GKE API"):
            self._client = client or container_v1.ClusterManagerClient(
                client_options={"api_endpoint": config.gke_endpoint}
            )

    def get(self, ref: ClusterRef) -> Cluster:
        """Read a cluster.

        Raises:
            Permanent: it doesn't exist (reason `CLUSTER_GONE`).
            Temporary: the API can't answer, or IAM doesn't allow it (yet).
        """
        tried = "GetCluster"
        try:
            found = self._client.get_cluster(name=str(ref), timeout=_READ_TIMEOUT)
        except exceptions.NotFound as error:
            raise _gone(ref, error, tried) from error
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            raise google_errors.translate(
                error, tried=tried, cluster=str(ref), needs="container.clusters.get"
            ) from error
        return read_cluster(ref, found)

    def list(self, project: str) -> tuple[ClusterRef, ...]:
        """The clusters of a project, in every location that GKE reaches; raises as `listing` does."""
        return tuple(one.ref for one in self.listing(project).clusters)

    def listing(self, project: str) -> Listing:
        """The clusters of a project as they are, in every location that GKE reaches.

        Raises:
            Temporary: the API can't answer, or IAM doesn't allow it (yet).
        """
        parent = f"projects/{project}/locations/-"
        try:
            found = self._client.list_clusters(parent=parent, timeout=_READ_TIMEOUT)
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            raise google_errors.translate(
                error, tried=f"ListClusters in {parent}", needs="container.clusters.list"
            ) from error
        clusters = tuple(read_cluster(ClusterRef(project, one.location, one.name), one) for one in found.clusters)
        return Listing(clusters, tuple(found.missing_zones))

    def allow_net_admin(self, ref: ClusterRef, etag: str) -> Started | Busy:
        """Turn on the workload policy allow-net-admin, if the cluster is still as `etag` says.

        Raises:
            Refused: an organisation policy forbids it, or GKE says that this cluster can't have it.
            Permanent: the cluster doesn't exist.
            Temporary: the API can't answer, or IAM doesn't allow it (yet).
        """
        return self._set_net_admin(ref, etag, allowed=True)

    def forbid_net_admin(self, ref: ClusterRef, etag: str) -> Started | Busy:
        """Turn off the workload policy allow-net-admin, if the cluster is still as `etag` says.

        Pods that run keep what they have; none with NET_ADMIN is admitted any more, not even in place of one of these.

        Raises:
            Refused: an organisation policy forbids it, or GKE says that this cluster can't have it.
            Permanent: the cluster doesn't exist.
            Temporary: the API can't answer, or IAM doesn't allow it (yet).
        """
        return self._set_net_admin(ref, etag, allowed=False)

    def _set_net_admin(self, ref: ClusterRef, etag: str, *, allowed: bool) -> Started | Busy:
        # The field is optional in proto3: a False that is written is an order, not an absence.
        policy = container_v1.WorkloadPolicyConfig(allow_net_admin=allowed)
        update = container_v1.ClusterUpdate(desired_autopilot_workload_policy_config=policy, etag=etag)
        try:
            operation = self._client.update_cluster(
                request={"name": str(ref), "update": update}, timeout=_UPDATE_TIMEOUT
            )
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            return _busy_or_raise(ref, error)
        return Started(f"{ref.parent}/operations/{operation.name}")

    def operation(self, name_or_id: str, ref: ClusterRef) -> OperationState:
        """How far an operation is.

        Args:
            name_or_id: its full name, or the bare id as audit entries have it.
            ref: a cluster in the operation's location, to make a full name of a bare id.

        Returns:
            The state. An operation that GKE no longer knows has ended long ago, and is done: what it left behind
            shows in the cluster.

        Raises:
            Temporary: the API can't answer, or IAM doesn't allow it (yet).
            Permanent: `name_or_id` is no operation's name.
        """
        name = name_or_id if "/" in name_or_id else f"{ref.parent}/operations/{name_or_id}"
        try:
            found = self._client.get_operation(name=name, timeout=_READ_TIMEOUT)
        except exceptions.NotFound:
            return OperationState(name, done=True, error="", kind="")
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            raise google_errors.translate(
                error, tried="GetOperation", cluster=str(ref), needs="container.operations.get"
            ) from error
        done = found.status == container_v1.Operation.Status.DONE
        # `error` supersedes `status_message`, which older operations have instead.
        words = str(found.error.message) or (f"code {found.error.code}" if found.error.code else "")
        error_text = shorten(words or str(found.status_message)) if done else ""
        return OperationState(name, done, error_text, name_of(found.operation_type))


@functools.cache
def gke() -> Gke:
    """This process's door, made with its settings at the first call."""
    return Gke(settings())


def _gone(ref: ClusterRef, error: exceptions.GoogleAPICallError, tried: str) -> Permanent:
    return Permanent(
        CLUSTER_GONE,
        f"the cluster doesn't exist: {google_errors.describe(error)}",
        cluster=str(ref),
        tried=tried,
        remedy="none if it was deleted; else correct the cluster's name in the request",
    )


def _busy_or_raise(ref: ClusterRef, error: exceptions.GoogleAPIError | GoogleAuthError) -> Busy:
    tried = "UpdateCluster, to turn on allow-net-admin"
    cluster = str(ref)
    if not isinstance(error, exceptions.GoogleAPICallError):
        raise google_errors.translate(error, tried=tried, cluster=cluster) from error
    if isinstance(error, exceptions.NotFound):
        raise _gone(ref, error, tried) from error
    denial = google_errors.org_policy_denial(error, cluster=cluster, tried=tried)
    if denial is not None:
        raise denial from error
    text = google_errors.describe(error)
    # Over gRPC a failed precondition is 400 with its own class; over REST it would be 412.
    precondition = isinstance(error, exceptions.FailedPrecondition | exceptions.PreconditionFailed | exceptions.Aborted)
    # Whoever changed it since it was read has an operation running on it: of duplicates, the one that came first.
    if precondition and (_ETAG.search(str(error.message)) or _BUSY.search(str(error.message))):
        return Busy(text)
    if isinstance(error, exceptions.BadRequest | exceptions.PreconditionFailed | exceptions.MethodNotImplemented):
        remedy = (
            "see what GKE names; on a Standard cluster, or one older than 1.27, allow-net-admin isn't to be had. "
            "To go on without a mesh, set the label byomesh=off"
        )
        raise Refused("NetAdminRefused", text, cluster=cluster, tried=tried, remedy=remedy) from error
    raise google_errors.translate(error, tried=tried, cluster=cluster, needs="container.clusters.update") from error
