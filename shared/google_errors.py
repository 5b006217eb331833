"""Errors of Google's API clients, translated at the boundary of the doors.

google.auth                          Temporary  CredentialsUnavailable
UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL, UNKNOWN, CANCELLED, ABORTED
                                     Temporary
UNAUTHENTICATED, PERMISSION_DENIED   Temporary  IamNotReady: a grant may take minutes to spread
any code with an organisation policy's words
                                     Refused    OrgPolicyDenied
all others                           Permanent
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError

from shared.errors import ByomeshError, Permanent, Refused, Temporary, shorten

_TRANSIENT = (exceptions.Aborted, exceptions.Cancelled, exceptions.ServerError, exceptions.TooManyRequests)
_IAM = (exceptions.Unauthorized, exceptions.Forbidden)

_ORG_POLICY = re.compile(r"\b(?:custom)?constraints/|\borg(?:anization)? polic", re.IGNORECASE)
_CONSTRAINT = re.compile(r"\b(?:custom)?constraints/[A-Za-z0-9._-]+", re.IGNORECASE)


def describe(error: BaseException) -> str:
    """Another system's words about an error, with its code where it has one, cut to a length that can be logged."""
    if isinstance(error, exceptions.GoogleAPICallError):
        code = getattr(error.grpc_status_code, "name", None) or str(error.code or type(error).__name__)
        return shorten(f"{code}: {error.message}")
    return shorten(f"{type(error).__name__}: {error}")


def org_policy_denial(error: exceptions.GoogleAPICallError, *, cluster: str, tried: str) -> Refused | None:
    """The refusal, if an organisation policy's constraint forbade the call.

    GKE says `Operation denied by custom org policies: ["customConstraints/custom.NAME": "…"]` for custom constraints
    and names `constraints/…` for Google's own; the status code differs between the two, so the words decide.
    """
    text = str(error.message)
    if not _ORG_POLICY.search(text):
        return None
    named = _CONSTRAINT.search(text)
    return Refused(
        "OrgPolicyDenied",
        f"an organisation policy forbids it: {text}",
        cluster=cluster,
        tried=tried,
        remedy=(
            f"ask the organisation policy administrators to exempt this project from "
            f"{named[0] if named else 'the constraint that it names'}, or label the cluster byomesh=off"
        ),
    )


def translate(error: BaseException, *, tried: str, cluster: str = "", needs: str = "") -> ByomeshError:
    """Sort an error of a Google client by what the caller must do.

    Args:
        error: a GoogleAPICallError, a RetryError or a GoogleAuthError.
        tried: what was being done, for the message.
        cluster: the cluster it was about, or "".
        needs: the IAM permission that the call needs, or "".
    """
    text = describe(error)
    if isinstance(error, GoogleAuthError):
        remedy = "check the function's service account and its metadata server"
        return Temporary("CredentialsUnavailable", text, cluster=cluster, tried=tried, remedy=remedy)
    if not isinstance(error, exceptions.GoogleAPICallError):
        return Temporary("ApiUnavailable", text, cluster=cluster, tried=tried, remedy="none; it is tried again")
    denial = org_policy_denial(error, cluster=cluster, tried=tried)
    if denial is not None:
        return denial
    if isinstance(error, _IAM):
        remedy = f"grant {needs or 'the permission that it names'} to the function's service account; it is tried again"
        return Temporary("IamNotReady", text, cluster=cluster, tried=tried, remedy=remedy)
    if isinstance(error, _TRANSIENT) and not isinstance(error, exceptions.MethodNotImplemented):
        return Temporary("ApiUnavailable", text, cluster=cluster, tried=tried, remedy="none; it is tried again")
    return Permanent("ApiRejected", text, cluster=cluster, tried=tried, remedy="correct what the API names")


@contextmanager
def translated(*, tried: str, cluster: str = "", needs: str = "") -> Iterator[None]:
    """Let a block raise only this package's errors; arguments and rules as in `translate`."""
    try:
        yield
    except (exceptions.GoogleAPIError, GoogleAuthError) as error:
        raise translate(error, tried=tried, cluster=cluster, needs=needs) from error
