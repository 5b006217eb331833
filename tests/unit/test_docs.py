"""The documentation says what the code says."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from shared.config import Settings
from shared.mesh.linkerd import checks
from shared.mesh.linkerd.checks import viz

ROOT = Path(__file__).resolve().parents[2]


def settings_table() -> str:
    """docs/settings.md's table, made from the settings themselves."""
    rows = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for field in dataclasses.fields(Settings):
        default = f"`{field.default:g}`" if isinstance(field.default, float) else f"`{field.default}`"
        variable, meaning = field.metadata["variable"], field.metadata["meaning"]
        rows.append(f"| `{variable}` | {default if field.default != '' else ''} | {meaning} |")
    return "\n".join(rows)


def test_settings_page_lists_every_setting_with_its_default_and_unit() -> None:
    assert settings_table() in (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")


def checks_tables() -> str:
    """docs/checks.md's tables, made from the table of checks itself."""
    tables = []
    for category in (*checks.TABLE, viz.CATEGORY):
        asked = {
            "`check`": checks.POST_INSTALL,
            "`check --proxy`": checks.DATA_PLANE,
            "beyond": checks.BEYOND,
            "where viz is": (viz.NAME,),
        }
        where = ", ".join(name for name, categories in asked.items() if category.name in categories)
        rows = [
            f"### {category.name} ({where or 'by itself'})",
            "",
            "| check | a fault | hint |",
            "| --- | --- | --- |",
        ]
        rows += [f"| {one.description} | {one.severity.value} | {one.hint} |" for one in category.checks]
        tables.append("\n".join(rows))
    return "\n\n".join(tables)


def test_checks_page_lists_every_check_with_hint_and_severity() -> None:
    page = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
    assert checks_tables() in page, f"make docs/checks.md's tables these:\n\n{checks_tables()}"


def test_checks_page_explains_each_check_of_our_own() -> None:
    page = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
    own = next(category for category in checks.TABLE if category.name in checks.BEYOND)
    for check in own.checks:
        assert f"\n#### {check.hint.rpartition('#')[2]}\n" in page


def test_readme_names_every_folder() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for folder in ("functions", "shared", "byomesh", "terraform", "tests", "bench", "docs"):
        assert f"`{folder}/`" in readme


def test_the_command_knows_what_to_do_about_every_reason_on_the_statuses_page() -> None:
    page = (ROOT / "docs" / "statuses.md").read_text(encoding="utf-8")
    table = page[page.index("| reason | phase |") :].partition("\n\n")[0] + "\n"
    copy = (ROOT / "byomesh" / "fleet" / "reasons.md").read_text(encoding="utf-8")
    assert copy == table, "make byomesh/fleet/reasons.md the table of reasons of docs/statuses.md, as it is there"


_REASON = re.compile(
    r'(?:Permanent|Refused|waiting\.later|_later|_phase|reason=|Phase\.\w+,)\(?[^"\\n]*"([A-Z][A-Za-z]+)"'
)


def test_statuses_page_explains_every_reason_that_a_stage_gives() -> None:
    page = (ROOT / "docs" / "statuses.md").read_text(encoding="utf-8")
    sources = [*(ROOT / "shared" / "stages").glob("*.py"), ROOT / "shared" / "mesh" / "apply.py"]
    text = "\n".join(re.sub(r"\(\s+", "(", source.read_text(encoding="utf-8")) for source in sources)
    reasons = set(_REASON.findall(text))
    assert {"OperationRunning", "ForeignMesh", "PodsNotReady", "NetAdminOff"} <= reasons
    assert {reason for reason in reasons if f"`{reason}`" not in page} == set()
