"""The only door to the Helm program: each call is one run of Helm 4, which dies with its caller and has a deadline.

Nothing secret is on a command line or on disk: values go through standard input, and a kubeconfig with a token through
memory that only the child inherits. Helm never waits for readiness; a new Autopilot cluster has no nodes for minutes.
"""

from shared.helm.access import kubeconfig
from shared.helm.failure import ChartInvalid, HelmFailed, OwnedByOthers, ReleasePending, RevisionMissing
from shared.helm.process import HelmTimeout
from shared.helm.program import Helm, HelmResult

__all__ = [
    "ChartInvalid",
    "Helm",
    "HelmFailed",
    "HelmResult",
    "HelmTimeout",
    "OwnedByOthers",
    "ReleasePending",
    "RevisionMissing",
    "kubeconfig",
]
