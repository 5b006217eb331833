"""What the end-to-end tests share: a local cloud that most of them use, and what it saw where one of them fails."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator

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


@pytest.fixture(scope="session")
def shared_cloud() -> Iterator[Cloud]:
    """A local cloud at twenty times Google's pace; tests leave no cluster and no trouble behind in it."""
    with cloud() as made:
        made.up("--pace", "20")
        yield made


@pytest.fixture
def down_cloud() -> Iterator[Cloud]:
    """A local cloud that isn't up."""
    with cloud() as made:
        yield made
