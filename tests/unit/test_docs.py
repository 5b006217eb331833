"""The documentation says what the code says."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from shared.config import Settings

ROOT = Path(__file__).resolve().parents[2]


def settings_table() -> str:
    """docs/settings.md's table, made from the settings themselves."""
    rows = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for field in dataclasses.fields(Settings):
        default = f"`{field.default:g}`" if isinstance(field.default, float) else f"`{field.default}`"
        rows.append(
            f"| `{field.metadata['variable']}` | {default if field.default != '' else ''} | {field.metadata['meaning']} |"
        )
    return "\n".join(rows)


def test_settings_page_lists_every_setting_with_its_default_and_unit() -> None:
    assert settings_table() in (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")


def test_readme_names_every_folder() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for folder in ("functions", "shared", "byomesh", "terraform", "tests", "bench", "docs"):
        assert f"`{folder}/`" in readme
