"""What `linkerd check` makes sure of, as a table: one file a category, judged from a snapshot and a clock.

Facts: linkerd2 pkg/healthcheck/healthcheck.go (allCategories) and cli/cmd/check.go, at b24cd4059.
"""

from shared.mesh.linkerd.checks.beyond import injector_ready
from shared.mesh.linkerd.checks.check import Category, Check, Doubt, Evidence, Fault, Severity, Skip, Verdict
from shared.mesh.linkerd.checks.render import exit_code, render
from shared.mesh.linkerd.checks.run import BEYOND, DATA_PLANE, POST_INSTALL, TABLE, run, with_viz

__all__ = [
    "BEYOND",
    "DATA_PLANE",
    "POST_INSTALL",
    "TABLE",
    "Category",
    "Check",
    "Doubt",
    "Evidence",
    "Fault",
    "Severity",
    "Skip",
    "Verdict",
    "exit_code",
    "injector_ready",
    "render",
    "run",
    "with_viz",
]
