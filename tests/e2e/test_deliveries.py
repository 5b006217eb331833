"""Deliveries as they come in the wild: twice, late, in another order, by another way, and poisoned."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cloud import INSTALLED_ONCE, LOCATION, PROJECT, Cloud

ENTRIES = Path(__file__).resolve().parents[1] / "data" / "events"
NEVER = "3600"
PHASES = ("Pending", "Verifying")
"""What a cluster is while install_mesh waits, and while verify_mesh does."""


@pytest.fixture
def troubled(shared_cloud: Cloud) -> Iterator[Cloud]:
    """The shared cloud, to be troubled: it is well again afterwards, and this module's clusters are gone."""
    before = {one["name"] for one in shared_cloud.clusters()}
    yield shared_cloud
    shared_cloud.local("troubles")
    shared_cloud.delete(*({one["name"] for one in shared_cloud.clusters()} - before))


def installations(cloud: Cloud, name: str) -> list[str]:
    """The words of every run of install_mesh that changed something."""
    said = [one["message"] for one in cloud.statuses(name, phase="Verifying")]
    return [words for words in said if not words.startswith("nothing")]


def settled(cloud: Cloud, name: str, requests: range) -> None:
    """Wait until nothing more follows: so many requests were installed to their end, verified to their end, Ready."""

    def quiet() -> bool:
        installs, verifications = (len(cloud.events(name, function)) for function in ("install_mesh", "verify_mesh"))
        said = cloud.statuses(name)
        waits = {phase: len([one for one in said if one["waits_for"] and one["phase"] == phase]) for phase in PHASES}
        ready = len([one for one in said if one["phase"] == "Ready"])
        ended = installs - waits["Pending"] == verifications - waits["Verifying"] == ready
        return ended and ready in requests

    cloud.until(quiet, f"{requests} requests about {name} to have had their consequences")


def entries_taken(cloud: Cloud, name: str, stage: str) -> int:
    """How often an audit entry of the cluster was delivered and taken."""
    taken = cloud.events(name, "enable_net_admin", error=None, kind="eventarc")
    return len([one for one in taken if one["line"].endswith(stage)])


def test_duplicated_late_and_shuffled_entries_install_once(troubled: Cloud) -> None:
    troubled.local("troubles", "--duplicate", "2", "--delay", "1", "--reorder", "6")
    name = troubled.create("shuffled")
    troubled.ready(name)
    troubled.until(lambda: entries_taken(troubled, name, "last entry") == 3, "all copies of the last entry")
    assert entries_taken(troubled, name, "first entry") == 3
    # Two copies that find GKE busy share one wait; one that comes later, or sooner, has its own request.
    settled(troubled, name, requests=range(2, 4))
    assert len(installations(troubled, name)) == 1
    assert troubled.revisions(name) == INSTALLED_ONCE
    assert troubled.statuses(name)[-1]["phase"] == "Ready"
    assert troubled.cluster(name)["net_admin"] is True
    assert len({one["request_id"] for one in troubled.statuses(name)}) == 1


def test_an_entry_that_a_sink_publishes_does_the_same(troubled: Cloud) -> None:
    troubled.local("troubles", "--delay", NEVER)
    name = troubled.create("by-sink")
    troubled.until(lambda: troubled.cluster(name)["status"] == "RUNNING", "the cluster to run")
    troubled.publish("cluster-events", sink_entry("by-sink"))
    status = troubled.ready(name)
    assert status["request_id"] == sink_entry("by-sink")["operation"]["id"]
    assert {one["kind"] for one in troubled.events(name, "enable_net_admin")} == {"pubsub"}
    assert troubled.revisions(name) == INSTALLED_ONCE


def sink_entry(name: str) -> dict[str, Any]:
    """The last entry of a creation, as a sink publishes it, of this cluster."""
    entry: dict[str, Any] = json.loads((ENTRIES / "created-last.json").read_text())
    entry["resource"]["labels"] = {"project_id": PROJECT, "location": LOCATION, "cluster_name": name}
    entry["protoPayload"]["resourceName"] = f"projects/{PROJECT}/locations/{LOCATION}/clusters/{name}"
    return entry


def test_nodes_that_come_late_are_waited_for_without_a_refusal(troubled: Cloud) -> None:
    name = troubled.create("nodeless", "--node-seconds", "10")
    troubled.ready(name)
    waits = troubled.statuses(name, reason="PodsNotReady")
    assert waits
    assert {one["phase"] for one in waits} == {"Verifying"}
    assert any("nodes available" in one["message"] or "no node" in one["message"] for one in waits), waits
    events = troubled.events(name)
    assert [one for one in events if one["error"] is not None] == []
    assert {one["attempt"] for one in events} == {1}
    assert len([one for one in events if one["kind"] == "tasks"]) >= len(waits)
    assert troubled.revisions(name) == INSTALLED_ONCE


def test_what_the_framework_refuses_is_dead_lettered_while_others_pass(troubled: Cloud) -> None:
    mark = "poison-of-this-test"
    troubled.local("publish", "mesh-install", "--attribute", f"mark={mark}")

    def given_up() -> list[dict[str, Any]]:
        letters = troubled.json("events", "--dead-letters")
        return [one for one in letters if one["attributes"].get("mark") == mark]

    troubled.until(lambda: troubled.events(function="install_mesh", status=400), "the first refusal")
    name = troubled.create("beside-poison", "--allow-net-admin")
    troubled.ready(name)
    assert all(one["error"] is None for one in troubled.events(name))
    (letter,) = troubled.until(given_up, "the dead letter")
    assert (letter["subscription"], letter["attempts"], letter["data"]) == ("mesh-install", 5, "")
    assert letter["topic"].endswith("/topics/mesh-install-dead-letter")
    assert mark in troubled.local("events", "--dead-letters").out
    refusals = [one for one in troubled.events(function="install_mesh") if one["line"].endswith("attributes only")]
    assert [(one["attempt"], one["status"]) for one in refusals] == [(number, 400) for number in range(1, 6)]


@pytest.mark.parametrize(
    ("topic", "message", "reason", "words"),
    [
        ("mesh-install", '{"mesh": "linkerd"}', "MalformedMessage", "the field cluster must be"),
        ("mesh-verify", '{"cluster": "blue", "mesh": "linkerd"}', "MalformedCluster", "'blue' is not a cluster's"),
        ("mesh-install", "no JSON at all", "MalformedEvent", "is not JSON"),
        ("cluster-events", '{"protoPayload": []}', "MalformedEvent", "Expected `object`, got `array`"),
    ],
)
def test_a_malformed_message_is_acknowledged_and_told(
    shared_cloud: Cloud, topic: str, message: str, reason: str, words: str
) -> None:
    message_id = shared_cloud.publish(topic, message)

    def told() -> list[dict[str, Any]]:
        return [one for one in shared_cloud.statuses(reason=reason) if words in one["message"]]

    (status,) = shared_cloud.until(told, "the status")
    assert status["phase"] == "Failed"
    assert status["cluster"] is None
    (event,) = [one for one in shared_cloud.events() if one["source"] == message_id]
    assert (event["attempt"], event["error"]) == (1, None)


def test_an_unknown_mesh_and_a_cluster_that_is_not_there_are_told(shared_cloud: Cloud) -> None:
    gone = f"projects/{PROJECT}/locations/{LOCATION}/clusters/never-there"
    shared_cloud.publish("mesh-install", {"cluster": gone, "mesh": "linkerd"})
    ran = shared_cloud.until(lambda: shared_cloud.statuses(phase="Failed", cluster=gone), "the status")
    assert ran[0]["reason"] == "ClusterGone"
    assert shared_cloud.run("local", "wait", gone).code == 1


def test_a_publication_to_an_unknown_topic_is_refused_in_a_sentence(shared_cloud: Cloud) -> None:
    ran = shared_cloud.local("publish", "mesh-remove", "--message", "{}", code=1)
    assert ran.err == f'error: NOT_FOUND: topic "projects/{PROJECT}/topics/mesh-remove"\n'
