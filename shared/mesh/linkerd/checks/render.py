"""A report in the shape of `linkerd check -o json` (linkerd2 pkg/healthcheck/healthcheck_output.go)."""

from __future__ import annotations

from typing import Any

from shared.mesh.linkerd.checks import beyond
from shared.model import CheckOutcome, CheckReport, CheckResult

_WORDS = {CheckOutcome.PASS: "success", CheckOutcome.WARN: "warning", CheckOutcome.FAIL: "error"}


def render(report: CheckReport, *, strict: bool = False) -> dict[str, Any]:
    """The report as JSON data; skipped checks aren't printed, nor a category of which nothing is left.

    Args:
        report: what was found.
        strict: whether `success` counts our own category too.
    """
    categories = []
    for category in report.categories:
        checks = [_check(result) for result in category.checks if result.outcome is not CheckOutcome.SKIP]
        if checks:
            categories.append({"categoryName": category.name, "checks": checks})
    return {"success": successful(report, strict=strict), "categories": categories}


def _check(result: CheckResult) -> dict[str, str]:
    shown = {"description": result.description, "hint": result.hint, "error": result.error}
    return {**{key: text for key, text in shown.items() if text}, "result": _WORDS[result.outcome]}


def successful(report: CheckReport, *, strict: bool = False) -> bool:
    """Whether the CLI would call it a success: no check of its own failed; if `strict`, none of ours either."""
    return not any(
        result.outcome is CheckOutcome.FAIL and (strict or category != beyond.NAME) for category, result in report
    )


def exit_code(report: CheckReport, *, strict: bool = False) -> int:
    """What the CLI exits with: 1 if any check failed, 0 with warnings or none."""
    return 0 if successful(report, strict=strict) else 1
