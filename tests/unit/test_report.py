"""The report as a browser reads it: whole, escaped, without a request to anybody, with every cluster in it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest

from byomesh.fleet.model import ClusterRow, Fleet, Trouble, Unseen
from byomesh.fleet.state import State
from byomesh.fleet.told import Change, Moment
from byomesh.report import render
from byomesh.report.glance import glance, parts
from byomesh.report.packing import packed
from shared.model import ClusterRef
from tests.unit.fleets import LONG, NOW, SINCE, fleet

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u2028{{ 7*7 }}"
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
URL_ATTRIBUTES = {"href", "src", "srcset", "action", "formaction", "data", "poster", "xlink:href", "manifest", "ping"}


class Page(HTMLParser):
    """What the standard library reads of a page.

    Attributes:
        tags: every element, by name and attributes.
        texts: the text of each script and style, and of the whole page.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.rows: list[tuple[dict[str, str], list[str]]] = []
        self._open: list[str] = []
        self.faults: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append((tag, found))
        if tag == "tr":
            self.rows.append((found, []))
        elif tag in {"td", "th"} and self.rows:
            self.rows[-1][1].append("")
        elif tag == "script":
            self.scripts.append("")
        elif tag == "style":
            self.styles.append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] == ["script"]:
            self.scripts[-1] += data
        elif self._open[-1:] == ["style"]:
            self.styles[-1] += data
        elif {"td", "th"} & {*self._open}:
            self.rows[-1][1][-1] += data

    def of(self, tag: str) -> list[dict[str, str]]:
        """The attributes of each element of a name."""
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def data(self) -> Any:
        """The data that the script reads."""
        return json.loads(self.scripts[0])


def row(**changes: Any) -> ClusterRow:
    made = ClusterRow(
        ref=ClusterRef("shop", "europe-west1", "eu-1"), state=State.FAILED, reason="X", message="it failed"
    )
    return msgspec.structs.replace(made, **changes)


def of(*rows: ClusterRow, **changes: Any) -> Fleet:
    made = Fleet(time=NOW, since=SINCE, projects=("shop",), rows=rows, policy="the built-in policy")
    return msgspec.structs.replace(made, **changes)


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(render(fleet(120)))


def test_nothing_in_it_asks_anybody_for_anything(page: Page) -> None:
    addresses = [value for _, attributes in page.tags for name, value in attributes.items() if name in URL_ATTRIBUTES]
    assert {address for address in addresses if not address.startswith(("#", "data:,"))} == set()
    assert "@import" not in page.styles[0]
    assert "url(" not in page.styles[0]
    script = page.scripts[1]
    for way in (
        "fetch(",
        "XMLHttpRequest",
        "WebSocket",
        "EventSource",
        "sendBeacon",
        "import(",
        "new Image",
        "Worker(",
    ):
        assert way not in script
    # The only addresses in it are names of namespaces.
    assert set(re.findall(r"https?://[^\"'\s]+", script)) == {"http://www.w3.org/2000/svg"}


def test_its_policy_lets_only_its_own_script_and_style_run(page: Page) -> None:
    [content] = [one["content"] for one in page.of("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    directives = dict(part.strip().split(" ", 1) for part in content.split(";"))
    assert directives["default-src"] == "'none'"

    def source(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert directives["script-src"] == source(page.scripts[1])
    assert directives["style-src"] == source(page.styles[0])
    assert "unsafe" not in content
    assert not [name for _, attributes in page.tags for name in attributes if name == "style" or name.startswith("on")]


def test_the_plain_table_has_every_cluster_and_what_the_filters_go_by(page: Page) -> None:
    made = fleet(120)
    rows = [(attributes, cells) for attributes, cells in page.rows if "data-cluster" in attributes]
    assert [attributes["data-cluster"] for attributes, _ in rows] == [str(one.ref) for one in made.rows]
    assert [attributes["data-state"] for attributes, _ in rows] == [one.state.value for one in made.rows]
    assert {attributes["data-project"] for attributes, _ in rows} == {one.ref.project for one in made.rows}
    by_name = {cells[0]: cells for _, cells in rows}
    assert by_name[LONG][3:7] == ["Ready", "linkerd edge-26.5.1", "allowed", "2 warned, 47 passed"]
    stuck = next(one for one in made.rows if one.state is State.STUCK)
    assert stuck.message in by_name[stuck.ref.name][8]
    assert stuck.to_do.replace("`", "") in by_name[stuck.ref.name][8]


def test_the_data_has_every_cluster_with_each_text_once(page: Page) -> None:
    made = fleet(120)
    data = page.data
    words = data["words"]
    assert len(words) == len(set(words))
    names = [
        f"projects/{words[one['project']]}/locations/{words[one['location']]}/clusters/{words[one['name']]}"
        for one in data["rows"]
    ]
    assert names == [str(one.ref) for one in made.rows]
    assert [data["states"][one["state"]][0] for one in data["rows"]] == [one.state.value for one in made.rows]
    first = data["rows"][0]
    assert len(first["moments"]) == len(made.rows[0].moments)
    spans = first["journeys"][0][4]
    assert [words[work] for work, _, _ in spans] == [span.work.value for span in made.rows[0].journeys[0].spans]


def test_every_phase_has_a_mark_of_its_own_beside_its_word(page: Page) -> None:
    marks = {attributes["id"].removeprefix("i-") for attributes in page.of("symbol")}
    assert marks >= {state.value for state in State}
    assert {one["data-state"] for one in page.of("li") if "data-state" in one} == {
        one.value for one in fleet(120).counts()
    }


def test_it_can_be_used_without_seeing_it(page: Page) -> None:
    assert page.of("html") == [{"lang": "en"}]
    captions = [tag for tag, _ in page.tags if tag == "caption"]
    assert len(captions) == len(page.of("table")) == 2
    assert all(one.get("scope") in {"col", "row"} for one in page.of("th"))
    assert len(page.of("h1")) == len(page.of("main")) == 1
    assert any(one.get("href") == "#clusters" and one.get("class") == "skip" for one in page.of("a"))
    assert all(one.get("aria-hidden") == "true" for one in page.of("svg") if "width" not in one or "class" in one)
    for query in ("prefers-color-scheme: dark", "prefers-reduced-motion", "max-width: 820px", "forced-colors"):
        assert query in page.styles[0]
    assert "aria-sort" in page.scripts[1]


def contrast(one: str, other: str) -> float:
    """The contrast of two colours (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio)."""

    def luminance(colour: str) -> float:
        digits = colour.lstrip("#")
        digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
        parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_what_they_stand_on(page: Page, scheme: str) -> None:
    style = page.styles[0]
    blocks = re.findall(r":root \{(.*?)\n\s*\}", style, re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", blocks[0 if scheme == "light" else 1]))
    states = [
        "Ready",
        "Failed",
        "Stuck",
        "Refused",
        "Degraded",
        "NeverProcessed",
        "Unknown",
        "way",
        "LeftAlone",
        "Gone",
    ]
    for text in ("ink", "soft", "link", *states):
        for ground in ("page", "sheet", "raised"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for work in ("create", "net-admin", "wait", "enforce", "install", "verify", "repair", "hand"):
        assert contrast(colours["ink"], colours[work]) >= 4.5, work
    assert contrast(colours["edge"], colours["sheet"]) >= 3


def test_hostile_texts_stay_texts() -> None:
    made = of(
        row(
            message=HOSTILE,
            reason=HOSTILE,
            to_do=HOSTILE,
            waits_for=HOSTILE,
            mesh=HOSTILE,
            version=HOSTILE,
            rule=HOSTILE,
            rule_reason=HOSTILE,
            labels={HOSTILE: HOSTILE},
            troubles=(Trouble(check=HOSTILE, category=HOSTILE, error=HOSTILE, repairs=(HOSTILE,), advice=HOSTILE),),
            moments=(Moment(time=NOW, who=HOSTILE, what=HOSTILE, reason=HOSTILE, client=HOSTILE),),
            options={HOSTILE: HOSTILE},
        ),
        unseen=(Unseen(HOSTILE, HOSTILE, HOSTILE),),
        notes=(HOSTILE,),
        policy=HOSTILE,
        projects=(HOSTILE,),
    )
    text = render(made)
    page = Page(text)
    assert len(page.scripts) == 2
    assert page.of("img") == []
    assert HOSTILE in page.data["words"]
    assert "49" not in re.findall(r"\{\{.*?\}\}", text)
    assert text.count("<script") == text.count("</script>") == 2
    assert "\u2028" not in packed(made)
    [cells] = [cells for attributes, cells in page.rows if "data-cluster" in attributes]
    assert HOSTILE in cells[8]


def test_an_empty_fleet_is_a_page_too() -> None:
    page = Page(render(of()))
    assert page.data["rows"] == []
    assert "There is no cluster to show." in render(of())


def test_the_glance_counts_what_there_is() -> None:
    made = fleet(120)
    seen = glance(made)
    assert sum(part.count for part in seen.parts) == 120
    assert seen.parts[0].state is State.READY
    assert sum(line.count for line in seen.meshes.lines) == sum(
        one.mesh != "" and one.state is not State.GONE for one in made.rows
    )
    worst = seen.troubles.lines[0]
    assert worst.count == max(line.count for line in seen.troubles.lines)
    assert {line.value for line in seen.troubles.lines} <= {one.reason for one in made.rows}
    assert len(seen.projects.lines) + seen.projects.rest == len({one.ref.project for one in made.rows})
    [never] = [line for line in seen.troubles.lines if line.value == "NoStatus"]
    assert "byomesh rerun CLUSTER --from enable" in never.more


def test_the_rarest_state_can_still_be_seen_in_the_bar() -> None:
    rows = [row(state=State.READY)] * 9_999 + [row()]
    made = parts(rows)
    assert [part.state for part in made] == [State.READY, State.FAILED]
    assert made[1].width > 0.3
    assert made[0].width + made[1].width == pytest.approx(100, abs=0.01)
    assert made[1].x == pytest.approx(made[0].width, abs=0.01)
    assert parts([]) == ()


def test_a_large_fleet_is_a_file_of_a_kilobyte_a_cluster_with_little_to_lay_out() -> None:
    made = fleet(2_000)
    text = render(made)
    assert len(text) < 2_000 * 1_600
    before = text[: text.index("<noscript>")] + text[text.index("</noscript>") + len("</noscript>") :]
    assert len(Page(before).tags) < 400


def test_changes_are_told_with_who_made_them() -> None:
    change = Change(cluster=ClusterRef("shop", "europe-west1", "eu-1"), time=NOW, method="UpdateCluster")
    assert change.problem == ""
    page = Page(render(of(row(moments=(Moment(time=NOW, who="anna@example.com", what="updated the cluster"),)))))
    words = page.data["words"]
    [[_, who, what, state, *_]] = page.data["rows"][0]["moments"]
    assert (words[who], words[what], state) == ("anna@example.com", "updated the cluster", -1)
