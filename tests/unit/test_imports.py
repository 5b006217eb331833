"""What each function loads at cold start: the clients that its stage may need, and no others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ALL = {
    "google.cloud.asset_v1",
    "google.cloud.container_v1",
    "google.cloud.logging_v2",
    "google.cloud.pubsub_v1",
    "google.cloud.secretmanager_v1",
    "google.cloud.security.privateca_v1",
    "google.cloud.storage",
    "google.cloud.tasks_v2",
    "kubernetes",
}
EVERY = {"google.cloud.container_v1", "google.cloud.pubsub_v1", "google.cloud.tasks_v2"}
CLIENTS = {
    "enable_net_admin": EVERY,
    "install_mesh": EVERY | {"kubernetes", "google.cloud.secretmanager_v1"},
    "verify_mesh": EVERY | {"kubernetes"},
    "enforce_policy": EVERY | {"kubernetes", "google.cloud.logging_v2"},
}
"""What is loaded before the first event; Asset Inventory, Cloud Storage and CA Service come where settings ask."""
OPERATORS = {"typer", "rich", "byomesh"}
PRINT = "import sys, functions.{name}; print(*sorted(sys.modules))"


def test_every_function_is_held() -> None:
    names = {file.stem for file in (ROOT / "functions").glob("*.py")} - {"__init__"}
    assert names == set(CLIENTS)


@pytest.mark.parametrize("name", sorted(CLIENTS))
def test_a_function_loads_only_what_it_may_need(name: str) -> None:
    command = [sys.executable, "-c", PRINT.format(name=name)]
    loaded = set(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split())
    assert loaded & ALL == CLIENTS[name]
    assert loaded & OPERATORS == set()
