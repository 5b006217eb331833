"""linkerd-version and control-plane-version: what runs against what should run.

There is no CLI here: the expected version stands for the CLI's own.
"""

from __future__ import annotations

from shared.mesh.linkerd.checks import channels
from shared.mesh.linkerd.checks.check import Category, Check, Evidence, Fault, Severity, Skip, Verdict
from shared.mesh.linkerd.checks.existence import readable_config

UNKNOWN = Skip("nobody said which version should run")


def _latest(evidence: Evidence) -> Verdict:
    if evidence.expected is None:
        return UNKNOWN
    try:
        channels.parse(evidence.expected)
    except channels.VersionError as error:
        return Fault(str(error))
    return None


def _cli(evidence: Evidence) -> Verdict:
    return UNKNOWN if evidence.expected is None else _compared(evidence.expected, evidence.expected)


def _compared(expected: str, actual: str) -> Verdict:
    fault = channels.mismatch(expected, actual)
    return Fault(fault) if fault else None


CATEGORY = Category(
    "linkerd-version",
    (
        Check("latest", "can determine the latest version", "l5d-version-latest", _latest, Severity.WARNING),
        Check("cli", "cli is up-to-date", "l5d-version-cli", _cli, Severity.WARNING),
    ),
)


def _running(evidence: Evidence) -> str | Fault:
    config = readable_config(evidence)
    if isinstance(config, Fault):
        return Fault(f"failed to fetch linkerd-config: {config.words}")
    return config.version


def _retrieved(evidence: Evidence) -> Verdict:
    found = _running(evidence)
    return found if isinstance(found, Fault) else None


def _up_to_date(evidence: Evidence) -> Verdict:
    found = _running(evidence)
    if isinstance(found, Fault) or evidence.expected is None:
        return found if isinstance(found, Fault) else UNKNOWN
    return _compared(evidence.expected, found)


def _same_as_cli(evidence: Evidence) -> Verdict:
    found = _running(evidence)
    if isinstance(found, Fault) or evidence.expected is None:
        return found if isinstance(found, Fault) else UNKNOWN
    if found == evidence.expected:
        return None
    return Fault(f"control plane running {found} but cli running {evidence.expected}")


_ANCHOR = "l5d-version-control"
CONTROL_PLANE = Category(
    "control-plane-version",
    (
        Check("running", "can retrieve the control plane version", _ANCHOR, _retrieved, Severity.FATAL),
        Check("up-to-date", "control plane is up-to-date", _ANCHOR, _up_to_date, Severity.WARNING),
        Check("same-as-cli", "control plane and cli versions match", _ANCHOR, _same_as_cli, Severity.WARNING),
    ),
)
