"""The table of all categories in the CLI's order, and its runner."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable

from shared.mesh.linkerd.checks import (
    beyond,
    cni,
    config,
    control_plane,
    data_plane,
    existence,
    extensions,
    gateway_api,
    identity,
    version,
    viz,
    webhooks,
)
from shared.mesh.linkerd.checks.check import Category, Check, Doubt, Evidence, Severity, Skip
from shared.mesh.snapshot import MeshSnapshot
from shared.model import CategoryReport, CheckOutcome, CheckReport, CheckResult

TABLE: tuple[Category, ...] = (
    gateway_api.CATEGORY,
    existence.CATEGORY,
    config.CATEGORY,
    cni.CATEGORY,
    identity.CATEGORY,
    webhooks.CATEGORY,
    identity.DATA_PLANE,
    version.CATEGORY,
    version.CONTROL_PLANE,
    control_plane.PROXIES,
    data_plane.CATEGORY,
    control_plane.HA,
    extensions.CATEGORY,
    beyond.CATEGORY,
)
"""Every category, in the CLI's order, then ours; kubernetes-api and kubernetes-version test the client: left out."""

_BOTH = (
    "gateway-api-crd",
    "linkerd-existence",
    "linkerd-config",
    "linkerd-cni-plugin",
    "linkerd-identity",
    "linkerd-webhooks-and-apisvc-tls",
    "linkerd-version",
    "linkerd-control-plane-proxy",
    "linkerd-ha-checks",
)
POST_INSTALL = (*_BOTH, "control-plane-version", "linkerd-extension-checks")
"""What `linkerd check` runs."""
DATA_PLANE = (*_BOTH, "linkerd-identity-data-plane", "linkerd-data-plane")
"""What `linkerd check --proxy` runs."""
BEYOND = (beyond.NAME,)
"""What the CLI doesn't ask."""


def run(
    snapshot: MeshSnapshot,
    now: dt.datetime,
    *,
    expected_version: str | None,
    categories: Collection[str] = POST_INSTALL,
) -> CheckReport:
    """Judge a snapshot; a fatal fault leaves out everything after it.

    Args:
        snapshot: the cluster.
        now: the clock by which certificates are judged; with a time zone.
        expected_version: the version that should run; None leaves versions uncompared.
        categories: names of the categories to run, in any order.
    """
    chosen = [category for category in TABLE if category.name in categories]
    return _run(chosen, Evidence(snapshot, now.astimezone(dt.UTC), expected_version))


def with_viz(
    report: CheckReport, snapshot: MeshSnapshot, now: dt.datetime, *, expected_version: str | None
) -> CheckReport:
    """A report with viz's checks behind it, where viz is there: the CLI runs them whatever the others found."""
    if snapshot.viz is None or not snapshot.viz.recorded:
        return report
    found = _run([viz.CATEGORY], Evidence(snapshot, now.astimezone(dt.UTC), expected_version))
    return CheckReport((*report.categories, *found.categories))


def _run(categories: Iterable[Category], evidence: Evidence) -> CheckReport:
    reports: list[CategoryReport] = []
    for category in categories:
        results: list[CheckResult] = []
        for check in category.checks:
            results.append(_judged(check, evidence))
            if results[-1].outcome is CheckOutcome.FAIL and check.severity is Severity.FATAL:
                return CheckReport((*reports, CategoryReport(category.name, tuple(results))))
        reports.append(CategoryReport(category.name, tuple(results)))
    return CheckReport(tuple(reports))


def _judged(check: Check, evidence: Evidence) -> CheckResult:
    verdict = check.judge(evidence)
    if verdict is None:
        return CheckResult(check.description, CheckOutcome.PASS)
    if isinstance(verdict, Skip):
        return CheckResult(check.description, CheckOutcome.SKIP, verdict.reason)
    warns = check.severity is Severity.WARNING or isinstance(verdict, Doubt)
    outcome = CheckOutcome.WARN if warns else CheckOutcome.FAIL
    return CheckResult(check.description, outcome, verdict.words, check.hint)
