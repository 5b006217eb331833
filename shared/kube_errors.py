"""What a Kubernetes API server's refusals mean, sorted by what the caller must do; pure.

    Temporary
    └── ClusterFault          whatever one cluster alone suffers from: its requests wait, and no other's are slowed down
        ├── Unauthorized      401: the token ran out or isn't known yet
        ├── IamNotReady       403 from RBAC or IAM: a grant may take minutes to spread
        ├── NotFound          404 to a write: the object or its namespace went away since it was observed
        ├── AlreadyExists     409 to a create
        ├── Conflict          409: changed by somebody else since it was read
        │   └── FieldConflict 409 to a server-side apply: other field managers hold what it sets
        ├── UnknownKind       no such resource (yet): its CRD isn't installed
        └── Unavailable       410, 429, 5xx, cut connections, time-outs, TLS
    Permanent
    └── Invalid           400, 422 and their like: the object will never be taken as it is
    Refused
    └── AdmissionDenied   a webhook, an admission policy or a built-in admission plugin said no, in its own words

Each passing one reads anew what is there when its delivery comes again, so nothing is repeated blindly.
"""

from __future__ import annotations

import re
from http import HTTPStatus

import msgspec

from shared.decoding import prepare
from shared.errors import ByomeshError, Permanent, Refused, Temporary, shorten


class ClusterFault(Temporary):
    """A fault of one cluster, or of the way to it, that may pass by itself.

    `shared.delivery` makes a wait of it: a refused delivery would slow down the whole subscription, all other clusters'
    requests with it, and five of them would be the request's end, while a control plane's upgrade takes minutes.
    """


class Unauthorized(ClusterFault):
    """The API server doesn't know the token."""


class IamNotReady(ClusterFault):
    """RBAC or IAM doesn't allow the request (yet)."""


class NotFound(ClusterFault):
    """What was to be written, or the namespace it was to be written in, isn't there."""


class AlreadyExists(ClusterFault):
    """An object of that name is there already."""


class Conflict(ClusterFault):
    """The object has changed since it was read."""


class FieldConflict(Conflict):
    """Other field managers hold fields that a server-side apply would set.

    Attributes:
        managers: (field manager, path of the field) pairs, in the API server's order.
    """

    def __init__(self, problem: str, managers: tuple[tuple[str, str], ...], *, cluster: str, tried: str) -> None:
        remedy = "let that manager drop the field, or repair with force where the plan says that the field is ours"
        super().__init__("FieldConflict", problem, cluster=cluster, tried=tried, remedy=remedy)
        self.managers = managers


class UnknownKind(ClusterFault):
    """The API server serves no such kind (yet)."""


class Unavailable(ClusterFault):
    """The API server can't be reached, or can't answer now."""


class Invalid(Permanent):
    """The API server will never take the request as it is."""


class AdmissionDenied(Refused):
    """Admission control said no; `problem` has its full words."""


class _Cause(msgspec.Struct, frozen=True):
    reason: str = ""
    message: str = ""
    field: str = ""


class _Details(msgspec.Struct, frozen=True):
    causes: tuple[_Cause, ...] | None = None


class _Meta(msgspec.Struct, frozen=True):
    continue_: str = msgspec.field(default="", name="continue")


class Status(msgspec.Struct, frozen=True):
    """The parts that are used of a meta/v1 Status.

    Attributes:
        kind: "Status" where the answer is an API server's; else it is some proxy's on the way.
        message: for people.
        reason: a constant in CamelCase.
        details: causes, field by field.
        metadata: has a token to go on with an expired list.
    """

    kind: str = ""
    message: str = ""
    reason: str = ""
    details: _Details | None = None
    metadata: _Meta = _Meta()

    @property
    def causes(self) -> tuple[_Cause, ...]:
        """The causes, none where there are no details."""
        return (self.details.causes if self.details is not None else None) or ()


ADMISSION_DENIAL = re.compile(
    r'admission webhook "[^"]*" denied the request'
    r"|ValidatingAdmissionPolicy '[^']*' with binding '[^']*' denied request"
    r"|GKE Warden rejected the request"
)
"""Words of a webhook, an admission policy or Warden that says no; also found in what Helm passes on."""
MANAGED_BY_GKE = re.compile(r"GKEAutopilot authz|denied by managed-namespaces-limitation")
"""GKE's authorizer on writes to the namespaces that it manages, of old and of today; also in what Helm passes on."""
_RBAC = re.compile(r'\bis forbidden: User "|^forbidden: User "|\bcannot impersonate\b')
_CONFLICT_WITH = re.compile(r'conflict with "(?P<manager>(?:[^"\\]|\\.)*)"')


_BY_CODE: dict[int, tuple[type[ClusterFault], str, str]] = {
    HTTPStatus.UNAUTHORIZED: (
        Unauthorized,
        "Unauthorized",
        "check the function's service account and its token; it is tried again",
    ),
    HTTPStatus.FORBIDDEN: (
        IamNotReady,
        "IamNotReady",
        "grant the role that it names to the function's service account; it is tried again",
    ),
    HTTPStatus.NOT_FOUND: (NotFound, "ObjectGone", "none; it is tried again with what is there then"),
}
_PASSING = frozenset(
    # FORBIDDEN stands here for a namespace on its way out, the only one that passes by itself.
    {HTTPStatus.FORBIDDEN, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.GONE, HTTPStatus.TOO_MANY_REQUESTS}
)


prepare(Status)


def read_status(body: bytes) -> Status:
    """A Status from an answer's body; an empty one with the body's beginning as its message where it is none."""
    try:
        return msgspec.json.decode(body, type=Status)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return Status(message=shorten(body.decode("utf-8", "replace"), 300))


def from_response(code: int, body: bytes, *, tried: str, cluster: str = "") -> ByomeshError:
    """The error for an API server's answer of `code` ≥ 300; pure.

    Args:
        code: the HTTP status.
        body: the answer's body, normally a Status.
        tried: method and path of the request.
        cluster: full resource name of the cluster, or "".
    """
    status = read_status(body)
    words = status.message or f"HTTP {code}"
    denied = _denied(code, status)
    if denied is not None:
        return AdmissionDenied(denied[0], words, cluster=cluster, tried=tried, remedy=denied[1])
    if code == HTTPStatus.CONFLICT:
        return _conflict(status, words, cluster, tried)
    if code in _BY_CODE and not _namespace_ends(status):
        kind, reason, remedy = _BY_CODE[code]
        return kind(reason, words, cluster=cluster, tried=tried, remedy=remedy)
    if code in _PASSING or not HTTPStatus.BAD_REQUEST <= code < HTTPStatus.INTERNAL_SERVER_ERROR:
        return unavailable(f"HTTP {code}: {words}", tried=tried, cluster=cluster)
    fields = "; ".join(f"{cause.field}: {cause.message}" for cause in status.causes[:10])
    problem = words if not fields or fields in words else f"{words} ({fields})"
    remedy = "correct the chart or its values; the API server names the fields"
    return Invalid("ObjectInvalid", problem, cluster=cluster, tried=tried, remedy=remedy)


def unavailable(problem: str, *, tried: str, cluster: str = "", remedy: str = "none; it is tried again") -> Unavailable:
    """The error of an API server that can't be reached or can't answer now."""
    return Unavailable("ApiServerUnavailable", problem, cluster=cluster, tried=tried, remedy=remedy)


def _manager(words: str) -> str:
    """The field manager that a conflict's words name; the words themselves where they name none."""
    match = _CONFLICT_WITH.search(words)
    return match["manager"] if match is not None else words


def _denied(code: int, status: Status) -> tuple[str, str] | None:
    """Reason and remedy, where the answer is a denial.

    A webhook chooses its code (k8s.io/apiserver pkg/admission/plugin/webhook/errors/statuserror.go makes it 400 at
    least), so its words decide. The built-in plugins answer 403 `… is forbidden: WORDS`, and so does RBAC, which names
    a user there.
    """
    words = status.message
    if MANAGED_BY_GKE.search(words):
        return "ManagedByGke", "leave that namespace to GKE; choose another for the mesh"
    if ADMISSION_DENIAL.search(words):
        return "AdmissionDenied", "change what the webhook names, or let the cluster's administrators allow it"
    own = code == HTTPStatus.FORBIDDEN and status.kind == "Status" and not _namespace_ends(status)
    if own and not _RBAC.search(words):
        return "AdmissionDenied", "change what the API server names, or let the cluster's administrators allow it"
    return None


def _namespace_ends(status: Status) -> bool:
    return any(cause.reason == "NamespaceTerminating" for cause in status.causes)


def _conflict(status: Status, words: str, cluster: str, tried: str) -> Temporary:
    held = tuple(
        (_manager(cause.message), cause.field) for cause in status.causes if cause.reason == "FieldManagerConflict"
    )
    if held:
        return FieldConflict(words, held, cluster=cluster, tried=tried)
    if status.reason == "AlreadyExists":
        return AlreadyExists("AlreadyExists", words, cluster=cluster, tried=tried, remedy="read what is there")
    remedy = "none; it is tried again with what is there then"
    return Conflict("Conflict", words, cluster=cluster, tried=tried, remedy=remedy)
