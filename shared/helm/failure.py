"""What Helm's complaints mean; pure. Its words are those of helm.sh/helm/v4 4.3, around the API server's own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from shared.errors import ByomeshError, Permanent, Refused, Temporary
from shared.kube_errors import (
    ADMISSION_DENIAL,
    MANAGED_BY_GKE,
    AdmissionDenied,
    ClusterFault,
    FieldConflict,
    IamNotReady,
    Unauthorized,
    Unavailable,
    UnknownKind,
)


class ReleasePending(ClusterFault):
    """An earlier run of Helm was killed in the middle, or another one is at work on the release."""


class HelmFailed(Temporary):
    """Helm failed for a reason that isn't known to be lasting."""


class ChartInvalid(Permanent):
    """The chart can't be had, rendered or applied with these values."""


class RevisionMissing(Permanent):
    """The release, or the revision of it that was asked for, isn't there."""


class OwnedByOthers(Refused):
    """Objects of the chart exist already and belong to no release, or to another one."""


_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|\Z)", re.DOTALL)
_SECRET_KEY = re.compile(r"key|password|secret|token", re.IGNORECASE)
_SHORTEST_SECRET = 8
_LONGEST = 64 * 1024
"""Characters of Helm's words that are looked at; a conflict names a field a line."""

_HEADING = re.compile(r'conflicts? with "(?P<manager>(?:[^"\\]|\\.)*)"[^:\n]*:[ \t]*(?P<field>[^\n]*)')


class _Rule(NamedTuple):
    """What it means if `pattern` is found in Helm's words; the first rule that fits decides."""

    pattern: re.Pattern[str]
    kind: type[ByomeshError]
    reason: str
    remedy: str


_AGAIN = "none; it is tried again"
_RULES = (
    _Rule(
        re.compile(r"another operation \(install/upgrade/rollback\) is in progress"),
        ReleasePending,
        "ReleasePending",
        "once nobody works on the cluster, remove the pending revision's Secret; it is tried again",
    ),
    _Rule(
        re.compile(r"invalid ownership metadata"),
        OwnedByOthers,
        "OwnedByOthers",
        "remove what was installed by others, or let this release take it over",
    ),
    _Rule(
        re.compile(r"release: not found|release has no \d+ version"),
        RevisionMissing,
        "RevisionMissing",
        "see `helm history`; Helm keeps the last ten revisions",
    ),
    _Rule(
        MANAGED_BY_GKE,
        AdmissionDenied,
        "ManagedByGke",
        "leave that namespace to GKE; take what goes there out of the chart's values",
    ),
    _Rule(
        ADMISSION_DENIAL,
        AdmissionDenied,
        "AdmissionDenied",
        "change what the webhook names, or let the cluster's administrators allow it",
    ),
    _Rule(re.compile(r"because it is being terminated"), Unavailable, "NamespaceTerminating", _AGAIN),
    _Rule(
        re.compile(r'\bis forbidden: User "'),
        IamNotReady,
        "IamNotReady",
        "grant the role that it names to the function's service account; it is tried again",
    ),
    _Rule(
        re.compile(r'" is forbidden: '),
        AdmissionDenied,
        "AdmissionDenied",
        "change what the API server names, or let the cluster's administrators allow it",
    ),
    _Rule(
        re.compile(r"the server has asked for the client to provide credentials"),
        Unauthorized,
        "Unauthorized",
        "check the function's service account and its token; it is tried again",
    ),
    _Rule(
        re.compile(r"no matches for kind"),
        UnknownKind,
        "UnknownKind",
        "install the CRD that defines it; it is tried again",
    ),
    _Rule(
        re.compile(r"repository or cannot be reached|failed to fetch|failed to perform|failed to do request"),
        HelmFailed,
        "ChartUnavailable",
        "check that the chart's repository can be reached from here; it is tried again",
    ),
    _Rule(
        re.compile(
            r"cluster unreachable|connection re(?:fused|set)|i/o timeout|TLS handshake|x509: |\bEOF\b|"
            r"too many requests|context (?:deadline exceeded|canceled)|currently unable to handle|no endpoints|"
            r"failed calling webhook|Internal error occurred|etcdserver|namespaces \"[^\"]*\" not found"
        ),
        Unavailable,
        "ApiServerUnavailable",
        _AGAIN,
    ),
    _Rule(
        re.compile(
            r"execution error at|parse error|template: |error converting YAML|error unmarshaling|failed to parse|"
            r"don't meet the specifications of the schema|typed patch object|is invalid: |strict decoding error|"
            r"not declared in schema|requires kubeVersion|Chart\.yaml|chart metadata|validation: |"
            r"path \"[^\"]*\" not found|chart \"[^\"]*\".* not found in|no such file or directory"
        ),
        ChartInvalid,
        "ChartInvalid",
        "correct the chart, its version or its values",
    ),
)
_UNKNOWN = _Rule(re.compile(""), HelmFailed, "HelmFailed", "see Helm's words; it is tried again")
"""What isn't known is tried again, and ends in the dead letter rather than in silence."""


def read_failure(
    stderr: str, *, code: int = 1, secrets: Sequence[str] = (), cluster: str = "", tried: str = ""
) -> ByomeshError:
    """The error for a run of Helm that failed.

    Args:
        stderr: what Helm printed to its standard error.
        code: its exit status; negative where a signal ended it.
        secrets: words that must not be passed on.
        cluster: full resource name of the cluster, or "".
        tried: what Helm was asked to do.
    """
    if code < 0:
        remedy = "none; it is tried again. If it happens again, give the function more memory"
        return HelmFailed(
            "HelmKilled", f"Helm was ended by signal {-code}", cluster=cluster, tried=tried, remedy=remedy
        )
    words = readable(stderr, secrets)
    held = conflicts(words)
    if held:
        return FieldConflict(words, held, cluster=cluster, tried=tried)
    rule = next((rule for rule in _RULES if rule.pattern.search(words)), _UNKNOWN)
    return rule.kind(rule.reason, words, cluster=cluster, tried=tried, remedy=rule.remedy)


def readable(stderr: str, secrets: Sequence[str] = ()) -> str:
    """Helm's own error out of its log lines, without the secrets."""
    _, found, words = stderr.rpartition("Error: ")
    words = words if found else stderr
    for secret in sorted(secrets, key=len, reverse=True):
        words = words.replace(secret, "[secret]")
    # Cut only now: half of a secret would not be found.
    return _PEM.sub("[PEM]", words)[:_LONGEST].strip() or "Helm said nothing"


def conflicts(words: str) -> tuple[tuple[str, str], ...]:
    """(field manager, path) pairs of a server-side apply's conflicts.

    One conflict is told as `conflict with "M" using v1: .path`; several as `conflicts with "M" using v1:` over lines
    of `- .path` (k8s.io/apimachinery pkg/util/managedfields/internal/conflict.go).
    """
    if "Apply failed with" not in words:
        return ()
    found: list[tuple[str, str]] = []
    manager = ""
    for line in words.splitlines():
        heading = _HEADING.search(line)
        if heading is not None:
            manager = heading["manager"]
            if heading["field"]:
                found.append((manager, heading["field"].strip()))
        elif manager and line.startswith("- "):
            found.append((manager, line.removeprefix("- ").strip()))
    return tuple(found)


def secrets_of(values: Mapping[str, Any]) -> tuple[str, ...]:
    """The texts among a chart's values that are secret by their key's name or by being a private key."""
    return tuple(_secrets(values, secret=False))


def _secrets(value: Any, *, secret: bool) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _secrets(inner, secret=secret or bool(_SECRET_KEY.search(str(key))))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _secrets(inner, secret=secret)
    elif isinstance(value, str) and len(value) >= _SHORTEST_SECRET and (secret or "PRIVATE KEY" in value):
        yield value
