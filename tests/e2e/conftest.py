"""What the end-to-end tests share: a local cloud that most of them use, and what it saw where one of them fails."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from byomesh.local.build_display import build_with_display
from tests.e2e.cloud import Cloud, cloud


def pytest_collection_finish(session: pytest.Session) -> None:
    """Builds before the first test, in sight and outside of its timeout: a cold build takes minutes."""
    if session.config.option.collectonly or not any("tests/e2e" in item.nodeid for item in session.items):
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        build_with_display(Console())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shows what happened in the test's local cloud where the test fails."""
    report = yield
    if report.failed and call.when != "teardown":
        clouds = {one for one in getattr(item, "funcargs", {}).values() if isinstance(one, Cloud)}
        report.sections.extend(section for one in clouds for section in one.report().items())
    return report


def built_in_policy() -> str:
    """The built-in policy as YAML."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")
    return page.partition("## The built-in policy")[2].partition("```yaml\n")[2].partition("```")[0]


@pytest.fixture(scope="session")
def shared_cloud() -> Iterator[Cloud]:
    """A local cloud at twenty times Google's pace; tests leave no cluster and no trouble behind in it.

    Its policy is the built-in one, as docs/policy.md writes it, in a file that a test may change and puts back.
    """
    with cloud() as made:
        made.policy.write_text(built_in_policy())
        made.up("--pace", "20", "--policy", str(made.policy))
        yield made


@pytest.fixture
def down_cloud() -> Iterator[Cloud]:
    """A local cloud that isn't up."""
    with cloud() as made:
        yield made
