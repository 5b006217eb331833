"""`byomesh check` in this process: recorded states, wrong options, and which cluster is meant."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.cloud import container_v1
from google.cloud.container_v1.services.cluster_manager.transports import ClusterManagerGrpcTransport
from grpc import StatusCode
from typer.testing import CliRunner, Result

from byomesh.cli import target
from byomesh.cli.main import app
from shared import gke, kube
from shared.config import Settings
from shared.errors import Permanent, Temporary
from shared.model import ClusterRef
from tests.unit.cluster_objects import NOW, VERSION, State, objects
from tests.unit.doors import EU1, MemoryGke, autopilot
from tests.unit.grpc_channel import Channel, Fault
from tests.unit.memory_kube import MemoryKube

CASES = Path(__file__).resolve().parents[1] / "data" / "check-cases"
FULL = str(EU1)


@pytest.fixture(autouse=True)
def _no_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)


def check(*options: str) -> Result:
    result = CliRunner().invoke(app, ["check", *options])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def written(folder: Path, **changes: Any) -> str:
    """The file of a recorded state."""
    file = folder / "state.json"
    state = {"now": NOW, "expectedVersion": VERSION, "objects": objects(), **changes}
    file.write_bytes(msgspec.json.encode({key: value for key, value in state.items() if value is not None}))
    return str(file)


# Recorded states ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["default-networks", "healthy", "issuer-expires-soon", "no-nodes", "other-version"])
def test_a_recorded_state_is_judged_as_its_case_says(name: str, tmp_path: Path) -> None:
    case = json.loads((CASES / f"{name}.json").read_text())
    file = written(tmp_path, objects=objects(msgspec.convert(case["state"], State)))
    table, as_json = check("--snapshot", file), check("--snapshot", file, "-o", "json")
    assert table.exit_code == as_json.exit_code == case["exitCode"]
    report = json.loads(as_json.stdout)
    assert report["success"] is (case["exitCode"] == 0)
    faults = [
        {"categoryName": category["categoryName"], **one}
        for category in report["categories"]
        for one in category["checks"]
        if one["result"] != "success"
    ]
    assert faults == case["faults"]
    marks = {"error": "×", "warning": "‼"}  # noqa: RUF001 - the mark that `linkerd check` prints
    for fault in faults:
        assert f"{marks[fault['result']]} {fault['description']}\n" in table.stdout
    mark = "√" if report["success"] else "×"  # noqa: RUF001 - likewise
    assert table.stdout.splitlines()[-1] == f"Status check results are {mark}"


def test_a_category_is_headed_by_its_name(tmp_path: Path) -> None:
    shown = check("--snapshot", written(tmp_path)).stdout
    assert "linkerd-existence\n-----------------\n√ " in shown


def test_the_data_plane_is_judged_where_it_is_asked_for(tmp_path: Path) -> None:
    file = written(tmp_path)
    assert "linkerd-data-plane" not in check("--snapshot", file).stdout
    assert "linkerd-data-plane" in check("--snapshot", file, "--proxy").stdout


def test_our_own_checks_are_made_of_a_recorded_state_only_where_they_are_asked_for(tmp_path: Path) -> None:
    file = written(tmp_path)
    assert "\nbyomesh\n" not in check("--snapshot", file).stdout
    shown = check("--snapshot", file, "--beyond")
    assert "\nbyomesh\n-------\n‼ control plane containers have resource requests" in shown.stdout
    assert "new pods get a proxy" not in shown.stdout
    assert shown.exit_code == check("--snapshot", file, "--beyond", "--strict").exit_code == 0


def test_the_expected_version_of_the_command_line_wins(tmp_path: Path) -> None:
    assert "‼" not in check("--snapshot", written(tmp_path)).stdout
    assert "‼" not in check("--snapshot", written(tmp_path, expectedVersion=None)).stdout
    assert "‼" in check("--snapshot", written(tmp_path), "--expected-version", "edge-99.1.1").stdout


BAD: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"{", "truncated"),
    "no text": (b'{"now": "\xff"}', "state.json"),
    "no time": (b'{"objects": []}', "missing required field `now`"),
    "no time zone": (b'{"now": "2026-05-04T09:00:00", "objects": []}', "timezone"),
    "no kind": (b'{"now": "2026-05-04T09:00:00Z", "objects": [{"apiVersion": "v1"}]}', "missing required field `kind`"),
    "no name": (
        b'{"now": "2026-05-04T09:00:00Z", "objects": [{"apiVersion": "v1", "kind": "Pod", "metadata": {}}]}',
        "missing required field `name`",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_recorded_state_is_told(case: str, tmp_path: Path) -> None:
    content, words = BAD[case]
    file = tmp_path / "state.json"
    file.write_bytes(content)
    result = check("--snapshot", str(file))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "BadSnapshot" in result.stderr
    assert words in result.stderr
    assert "now, expectedVersion and objects" in result.stderr


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    result = check("--snapshot", str(tmp_path / "none.json"))
    assert result.exit_code == 1
    assert "No such file" in result.stderr


# Options --------------------------------------------------------------------------------------------------------------

WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "no cluster": ((), "give either --kubeconfig or --cluster"),
    "two clusters": (("--kubeconfig", "k", "--cluster", FULL), "give either --kubeconfig or --cluster"),
    "a state and a kubeconfig": (("--snapshot", "s", "--kubeconfig", "k"), "give one of --snapshot, --kubeconfig"),
    "a state and a cluster": (("--snapshot", "s", "--cluster", FULL), "give one of --snapshot, --kubeconfig"),
    "no project": (("--cluster", "eu-1"), "add --project, or write the full name"),
    "half a name": (("--cluster", "locations/eu-1"), "is not a cluster's resource name"),
    "no kubeconfig there": (("--kubeconfig", "/nowhere/at/all"), "/nowhere/at/all"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_options_end_in_a_sentence(case: str) -> None:
    options, words = WRONG[case]
    result = check(*options)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: ")
    assert words in result.stderr


# Which cluster --------------------------------------------------------------------------------------------------------


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Let GKE list these (location, name) pairs; returns the parents that were asked for."""

    def let(*pairs: tuple[str, str]) -> list[str]:
        asked: list[str] = []

        def answer(request: container_v1.ListClustersRequest) -> container_v1.ListClustersResponse:
            asked.append(request.parent)
            found = [container_v1.Cluster(name=name, location=location) for location, name in pairs]
            return container_v1.ListClustersResponse(clusters=found)

        monkeypatch.setattr(gke, "gke", lambda: door(answer))
        return asked

    return let


def door(answer: Callable[[Any], Any]) -> gke.Gke:
    transport = ClusterManagerGrpcTransport(channel=Channel(ListClusters=answer))
    return gke.Gke(Settings(), container_v1.ClusterManagerClient(transport=transport))


def test_a_full_name_and_a_name_with_its_place_need_no_list(listed: Callable[..., list[str]]) -> None:
    asked = listed()
    assert target.resolve(FULL, "", "") == EU1
    assert target.resolve(FULL, "other", "elsewhere") == EU1
    assert target.resolve("eu-1", "shop", "europe-west1") == EU1
    assert asked == []


def test_a_unique_name_is_found_in_the_projects_list(listed: Callable[..., list[str]]) -> None:
    asked = listed(("us-east1", "eu-2"), ("europe-west1", "eu-1"))
    assert target.resolve("eu-1", "shop", "") == EU1
    assert asked == ["projects/shop/locations/-"]


def test_a_name_in_two_places_wants_a_location(listed: Callable[..., list[str]]) -> None:
    listed(("us-east1", "eu-1"), ("europe-west1", "eu-1"))
    with pytest.raises(Permanent, match=r"eu-1 is us-east1, europe-west1 .*--location") as caught:
        target.resolve("eu-1", "shop", "")
    assert caught.value.reason == "AmbiguousCluster"


def test_a_name_that_is_nowhere_is_told(listed: Callable[..., list[str]]) -> None:
    listed(("us-east1", "eu-2"))
    with pytest.raises(Permanent, match="gcloud container clusters list") as caught:
        target.resolve("eu-1", "shop", "")
    assert caught.value.reason == "NoSuchCluster"


def test_a_list_that_gke_denies_names_what_it_needs() -> None:
    def deny(_: Any) -> Any:
        raise Fault(StatusCode.PERMISSION_DENIED, "denied")

    with pytest.raises(Temporary, match=r"container\.clusters\.list"):
        door(deny).list("shop")


def test_the_projects_of_a_list_are_the_projects_that_were_asked_for(listed: Callable[..., list[str]]) -> None:
    listed(("us-east1-b", "a"), ("europe-west1", "b"))
    assert gke.gke().list("shop") == (ClusterRef("shop", "us-east1-b", "a"), ClusterRef("shop", "europe-west1", "b"))


def test_a_cluster_of_gke_is_connected_to_as_gke_says(monkeypatch: pytest.MonkeyPatch) -> None:
    api, dialled = MemoryKube(), []

    def connect(access: gke.ControlPlaneAccess, token: kube.Token, *, cluster: str = "") -> MemoryKube:
        dialled.append((access.endpoint, token(), cluster))
        return api

    monkeypatch.setattr(gke, "gke", lambda: MemoryGke(autopilot()))
    monkeypatch.setattr(kube, "default_token", lambda: lambda: "token")
    monkeypatch.setattr(kube, "connect", connect)
    result = check("--cluster", "eu-1", "--project", "shop", "--location", "europe-west1", "-o", "json")
    assert result.exit_code == 1
    assert dialled == [("127.0.0.1:1", "token", FULL)]
    assert json.loads(result.stdout)["success"] is False


def test_a_kubeconfigs_cluster_is_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = []

    @contextlib.contextmanager
    def opened(path: Path) -> Iterator[MemoryKube]:
        given.append(path)
        yield MemoryKube()

    monkeypatch.setattr(kube, "from_kubeconfig", opened)
    assert check("--kubeconfig", str(tmp_path)).exit_code == 1
    assert given == [tmp_path]
