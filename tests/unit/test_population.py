from __future__ import annotations

import collections
from typing import Any

import pytest
from google.cloud import container_v1
from typer.testing import CliRunner, Result

from byomesh.cli import populate
from byomesh.cli.main import app
from byomesh.local.gke.population import NetAdmin, Population, asked
from shared.gke import read_cluster
from shared.model import ClusterRef


def test_clusters_are_spread_evenly_over_projects_and_locations() -> None:
    wanted = Population(clusters=12, project="shop", projects=3, locations=("europe-west1", "us-east1-b"))
    refs = list(wanted.names())
    assert len(set(refs)) == 12
    assert refs[0] == ClusterRef("shop-001", "europe-west1", "fleet-00001")
    by_place = collections.Counter((ref.project, ref.location) for ref in refs)
    assert set(by_place.values()) == {2}
    assert len(by_place) == 6


def test_names_that_are_taken_are_left_out() -> None:
    wanted = Population(clusters=3, project="shop")
    first = list(wanted.names())
    second = list(wanted.names(taken=set(first)))
    assert [ref.name for ref in second] == ["fleet-00004", "fleet-00005", "fleet-00006"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"clusters": 0}, "between 1 and"),
        ({"clusters": 2, "projects": 3}, "can't be spread over 3 projects"),
        ({"clusters": 1, "locations": ()}, "need a location"),
        ({"clusters": 1, "prefix": "Fleet"}, "can't begin with 'Fleet'"),
        ({"clusters": 1, "prefix": "f" * 31}, "30 at most"),
    ],
)
def test_what_cannot_be_made_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Population(project="shop", **fields)


def test_a_location_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="not a cluster's resource name"):
        list(Population(clusters=1, project="shop", locations=("Europe",)).names())


@pytest.mark.parametrize(
    ("net_admin", "allowed"),
    [(NetAdmin.ON, [True, True]), (NetAdmin.OFF, [False, False]), (NetAdmin.MIXED, [False, True])],
)
def test_net_admin_is_as_asked(net_admin: NetAdmin, allowed: list[bool]) -> None:
    wanted = Population(clusters=2, project="shop", net_admin=net_admin, labels={"team": "till"})
    clusters = [(ref, asked(ref, wanted, position)) for position, ref in enumerate(wanted.names())]
    read = [read_cluster(ref, cluster) for ref, cluster in clusters]
    assert [one.allow_net_admin for one in read] == allowed
    assert {one.autopilot for one in read} == {True}
    assert [one.labels for one in read] == [{"team": "till"}] * 2


def test_a_standard_cluster_has_no_workload_policy() -> None:
    wanted = Population(clusters=1, project="shop", autopilot=False, net_admin=NetAdmin.ON)
    (ref,) = wanted.names()
    cluster = asked(ref, wanted, 0)
    assert not cluster.autopilot.enabled
    assert "workload_policy_config" not in cluster.autopilot


def test_a_message_is_about_as_large_as_a_real_ones() -> None:
    wanted = Population(clusters=1, project="shop")
    (ref,) = wanted.names()
    assert len(container_v1.Cluster.serialize(asked(ref, wanted, 0))) > 2000


class _Daemon:
    """The local cloud's own API, as far as it is asked here."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []

    def connect(self, _home: object) -> _Daemon:
        return self

    def call(self, method: str, path: str, body: Any, *, seconds: float) -> dict[str, Any]:
        assert seconds > 60
        self.asked.append((method, path, body))
        return {"first": "a", "last": "b", "clusters": body["clusters"], "seconds": 1.25}


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> _Daemon:
    made = _Daemon()
    monkeypatch.setattr(populate, "Client", made)
    return made


def run(*options: str) -> Result:
    return CliRunner().invoke(app, ["local", "populate", *options])


def test_the_command_asks_for_what_it_is_told(daemon: _Daemon) -> None:
    ran = run(
        "-n", "7", "--net-admin", "mixed", "-l", "us-east1", "-l", "us-west1", "--label", "mesh=linkerd", "--events"
    )
    assert (ran.exit_code, ran.stdout) == (0, "7 clusters are there (1.2 s):\n  a … b\n")
    ((method, path, body),) = daemon.asked
    assert (method, path) == ("POST", "/population")
    assert (body["clusters"], body["net_admin"], body["envelope"]) == (7, "mixed", "eventarc")
    assert (body["locations"], body["labels"]) == (["us-east1", "us-west1"], {"mesh": "linkerd"})


def test_without_events_nobody_is_told(daemon: _Daemon) -> None:
    assert run("-o", "json").exit_code == 0
    assert daemon.asked[0][2]["envelope"] == "none"


def test_what_cannot_be_made_is_said_before_anything_is_asked(daemon: _Daemon) -> None:
    ran = run("-n", "2", "--projects", "3")
    assert (ran.exit_code, daemon.asked) == (2, [])
    assert "2 clusters can't be spread over 3 projects" in ran.stderr
