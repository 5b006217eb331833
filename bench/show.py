"""Reports as tables for people."""

from __future__ import annotations

import statistics

from rich.console import Console

from bench.figures import SHARE, Comparison, Report
from byomesh.cli.output import table

_DIGITS = {"s": 3, "MiB": 1}
"""Digits behind the point, by unit."""


def report(console: Console, name: str, found: Report) -> None:
    """Print a benchmark's comparisons, a table for each thing held against, then where the time went."""
    for against in dict.fromkeys(one.against for one in found.comparisons):
        title = f"\n{name} against {against}: medians"
        compared = table("MEASURED", "OURS", "THEIRS", "RATIO", "IN ROUNDS", "GOAL", title=title)
        for one in found.comparisons:
            if one.against == against:
                compared.add_row(*_row(one))
        console.print(compared)
    for breakdown in found.breakdowns:
        parts = table("PART", breakdown.unit, title=f"\n{breakdown.what}")
        for part, figure in breakdown.parts.items():
            parts.add_row(_indented(part), _figure(figure, breakdown.unit))
        console.print(parts)


def _row(one: Comparison) -> tuple[str, ...]:
    ratios = sorted(one.ratios)
    return (
        one.what,
        f"{_figure(statistics.median(one.ours), one.unit)} {one.unit}",
        f"{_figure(statistics.median(one.theirs), one.unit)} {one.unit}",
        f"{one.ratio:.2f}",
        f"{ratios[0]:.2f}-{ratios[-1]:.2f}",
        "-" if one.goal is None else f"{one.goal:.1f}",
    )


def _indented(part: str) -> str:
    *above, own = part.split(SHARE)
    return f"{'  ' * len(above)}{own}"


def _figure(value: float, unit: str) -> str:
    return f"{value:.{_DIGITS.get(unit, 0)}f}"
