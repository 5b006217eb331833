"""`byomesh check` without a cluster: recorded states, and what it says of wrong options."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from tests.e2e.cloud import Cloud
from tests.unit.cluster_objects import NOW, VERSION, State, objects

DATA = Path(__file__).resolve().parents[1] / "data"


def recorded(name: str, folder: Path) -> str:
    """The file of a recorded state, made of the case's description."""
    state = msgspec.convert(json.loads((DATA / "check-cases" / f"{name}.json").read_text())["state"], State)
    file = folder / f"{name}.json"
    file.write_bytes(msgspec.json.encode({"now": NOW, "expectedVersion": VERSION, "objects": objects(state)}))
    return str(file)


def test_a_healthy_state_passes(down_cloud: Cloud, tmp_path: Path) -> None:
    ran = down_cloud.run("check", "--snapshot", recorded("healthy", tmp_path))
    assert ran.code == 0
    assert "√ cluster networks contains all services\n" in ran.out
    assert ran.out.endswith("Status check results are √\n")


def test_the_charts_default_networks_fail_in_linkerds_words(down_cloud: Cloud, tmp_path: Path) -> None:
    file = recorded("default-networks", tmp_path)
    ran = down_cloud.run("check", "--snapshot", file)
    assert ran.code == 1
    assert "× cluster networks contains all services\n    the Linkerd clusterNetworks [" in ran.out  # noqa: RUF001
    assert "    see https://linkerd.io/" in ran.out
    assert ran.out.endswith("Status check results are ×\n")  # noqa: RUF001
    report = json.loads(down_cloud.run("check", "--snapshot", file, "-o", "json").out)
    assert report["success"] is False


def test_the_data_plane_has_checks_of_its_own(down_cloud: Cloud, tmp_path: Path) -> None:
    ran = down_cloud.run("check", "--proxy", "--snapshot", recorded("healthy", tmp_path))
    assert "linkerd-data-plane" in ran.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "name the cluster once"),
        (("--kubeconfig", "somewhere", "--cluster", "blue"), "name the cluster once"),
        (("--cluster", "blue"), "add --project, or write the full name"),
        (("--cluster", "projects/blue"), "'projects/blue' is not a cluster's resource name"),
        (("--snapshot", "/nowhere/at/all.json"), "No such file or directory"),
        (("--snapshot", str(DATA / "events" / "created-last.json")), "missing required field `now`"),
        (("--kubeconfig", "/nowhere/at/all"), "/nowhere/at/all"),
    ],
)
def test_wrong_options_are_told_in_a_sentence(down_cloud: Cloud, options: tuple[str, ...], words: str) -> None:
    ran = down_cloud.run("check", *options)
    assert ran.code == 1
    assert ran.err.startswith("error: ")
    assert words in ran.err
    assert "Traceback" not in ran.err
