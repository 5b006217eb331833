"""The report in a real browser, where this machine has one: Chromium without a window, and without a network."""

from __future__ import annotations

import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from byomesh.report import render
from tests.unit.fleets import fleet

BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
PATIENCE = 120

pytestmark = pytest.mark.skipif(not BROWSER, reason="there is no Chromium on this machine")


class Drawn(HTMLParser):
    """What the script has made of the page.

    Attributes:
        rows: the rows of clusters, by name.
        pressed: texts of buttons that are pressed.
        found: what is said of the number of clusters.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[dict[str, str]] = []
        self.details = 0
        self.sorted: list[str] = []
        self.feed(text.partition("<noscript>")[0])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "tr" and "data-cluster" in attributes:
            self.rows.append(attributes)
        self.details += attributes.get("id") == "detail"
        if "aria-sort" in attributes:
            self.sorted.append(attributes["aria-sort"])


def drawn(folder: Path, count: int, fragment: str = "") -> Drawn:
    """The page as Chromium has it after its script has run."""
    file = folder / "report.html"
    file.write_text(render(fleet(count)), encoding="utf-8")
    command = [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'browser'}"]
    command += ["--disable-dev-shm-usage", "--no-first-run", "--virtual-time-budget=5000"]
    # Nobody answers there: what would leave the page fails at once.
    command += ["--proxy-server=127.0.0.1:9", "--dump-dom", f"{file.as_uri()}{fragment}"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    return Drawn(ran.stdout)


def test_a_page_of_rows_is_drawn_the_worst_first(tmp_path: Path) -> None:
    made = fleet(300)
    page = drawn(tmp_path, 300)
    assert [row["data-cluster"] for row in page.rows][:5] != []
    assert len(page.rows) == 100
    assert page.rows[0]["data-state"] == made.rows[0].state.value
    assert page.sorted == ["ascending"]


def test_the_fragment_holds_the_view(tmp_path: Path) -> None:
    made = fleet(40)
    row = next(one for one in made.rows if one.state.value == "Stuck")
    page = drawn(tmp_path, 40, f"#state=Stuck,Failed&sort=-name&open={row.ref}")
    assert {one["data-state"] for one in page.rows} == {"Stuck", "Failed"}
    assert page.details == 1
    assert page.sorted == ["descending"]
