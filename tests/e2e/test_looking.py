"""What an operator is shown of a local cloud that is up: tables, JSON for programs, sentences for mistakes."""

from __future__ import annotations

import json
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from shared import kube
from tests.e2e.cloud import LOCATION, PROJECT, Cloud

FULL = f"projects/{PROJECT}/locations/{LOCATION}/clusters/looked-at"
NAMESAKE = f"projects/{PROJECT}/locations/europe-west1-b/clusters/looked-at"


@pytest.fixture(scope="module")
def looked_at(shared_cloud: Cloud) -> Iterator[Cloud]:
    """The shared cloud with a cluster that gets a mesh, and one of the same name elsewhere that gets none."""
    created = shared_cloud.json("create-cluster", "looked-at", "--standard", "--label", "mesh=linkerd")
    assert created["cluster"] == FULL
    assert created["operation"].startswith("operation-")
    shared_cloud.local("create-cluster", "looked-at", "--standard", "--location", "europe-west1-b")
    shared_cloud.ready(FULL)
    yield shared_cloud
    shared_cloud.delete(*({FULL, NAMESAKE} & {one["name"] for one in shared_cloud.clusters()}))


def test_what_is_up_is_not_started_again(looked_at: Cloud) -> None:
    daemon = looked_at.daemon()
    assert looked_at.local("up").out == "the local cloud is already up; see: byomesh local status\n"
    assert looked_at.daemon() == daemon


def test_status_is_a_table_or_json(looked_at: Cloud) -> None:
    told = looked_at.json("status")
    one = next(one for one in told["clusters"] if one["name"] == FULL)
    assert (one["status"], one["autopilot"], one["mesh"]["phase"]) == ("RUNNING", False, "Ready")
    assert {function["name"]: function["running"] for function in told["functions"]} == {
        "enable_net_admin": True,
        "install_mesh": True,
        "verify_mesh": True,
        "enforce_policy": True,
    }
    rows = [line.split() for line in looked_at.local("status").out.splitlines()]
    assert ["looked-at", LOCATION, "RUNNING", "Standard", "allowed", "Ready"] in [row[:6] for row in rows]
    assert ["looked-at", "europe-west1-b", "RUNNING", "Standard", "allowed", "-"] in [row[:6] for row in rows]


def test_statuses_and_events_are_tables_or_json(looked_at: Cloud) -> None:
    assert [one["phase"] for one in looked_at.statuses(FULL)] == ["Pending", "Verifying", "Ready"]
    assert "Ready" in looked_at.local("statuses", "--cluster", FULL).out
    events = looked_at.events(FULL, "enable_net_admin")
    assert [one["line"] for one in events] == [
        "CreateCluster looked-at: first entry",
        "CreateCluster looked-at: last entry",
    ]
    table = looked_at.local("events", "--cluster", FULL).out
    assert "CreateCluster looked-at: last entry" in table
    assert "mesh-verify: linkerd" in table


def test_events_show_what_was_said_word_for_word(looked_at: Cloud) -> None:
    looked_at.local("create-cluster", "[red]_", code=1)
    looked_at.until(lambda: "[red]_" in looked_at.local("events").out, "the rejected call's entry")


def test_waiting_ends_with_0_when_ready(looked_at: Cloud) -> None:
    assert looked_at.local("wait", FULL, "--for", "ready").out.startswith(f"Ready {FULL}: linkerd ")
    assert looked_at.json("wait", FULL)["phase"] == "Ready"


def test_waiting_ends_with_2_when_the_time_is_over(looked_at: Cloud) -> None:
    ran = looked_at.local("wait", NAMESAKE, "--timeout", "0.5", code=2)
    assert ran.err == f"error: {NAMESAKE} was not ready within 0.5 s; it is not heard of\n"
    assert looked_at.json("wait", NAMESAKE, "--timeout", "0", code=2) is None


def test_a_kubeconfig_is_printed_or_written_for_its_owner_only(looked_at: Cloud, tmp_path: Path) -> None:
    printed = looked_at.local("kubeconfig", FULL).out
    file = tmp_path / "kubeconfig"
    looked_at.local("kubeconfig", FULL, "--file", str(file))
    assert file.read_text() == printed
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert yaml.safe_load(printed)["clusters"][0]["cluster"]["server"].startswith("https://127.0.0.1:")


@pytest.mark.parametrize("command", ["kubeconfig", "delete-cluster", "wait"])
def test_a_name_of_no_cluster_or_of_two_is_told(looked_at: Cloud, command: str) -> None:
    missing = looked_at.local(command, "nowhere", code=1).err
    assert missing.startswith("error: there is no cluster nowhere; there are: ")
    assert "looked-at" in missing
    twice = looked_at.local(command, "looked-at", code=1).err
    assert twice == f"error: looked-at names 2 clusters; write one in full: {FULL}, {NAMESAKE}\n"


def test_a_blocked_port_keeps_new_pods_out_of_the_mesh(looked_at: Cloud, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    looked_at.local("kubeconfig", FULL, "--file", str(kubeconfig))
    api = kube.from_kubeconfig(kubeconfig)

    def proxied() -> bool:
        """Whether a pod would get a proxy, by a server-side dry run."""
        annotated = {"name": "probe", "annotations": {"linkerd.io/inject": "enabled"}}
        pod = {"metadata": annotated, "spec": {"containers": [{"name": "main", "image": "example/main:1"}]}}
        made = api.create("/api/v1/namespaces/default/pods", pod, field_manager="test", dry_run=True)
        return any(one["name"] == "linkerd-proxy" for one in made["spec"].get("initContainers", ()))

    looked_at.until(proxied, "the injector to answer")
    assert looked_at.local("block-port", FULL, "8443").out == "looked-at: blocked for the control plane: 8443\n"
    assert not proxied()
    one = next(one for one in looked_at.json("status")["clusters"] if one["name"] == FULL)
    assert (one["blocked_ports"], one["webhook_calls"]["linkerd/linkerd-proxy-injector"] > 0) == ([8443], True)
    assert "linkerd/linkerd-proxy-injector" in looked_at.local("status").out
    assert looked_at.json("block-port", FULL, "8443", "--off")["blocked_ports"] == []
    assert proxied()
    api.close()


def test_a_second_cluster_of_the_name_is_rejected_by_gke(looked_at: Cloud) -> None:
    assert (
        looked_at.local("create-cluster", "looked-at", code=1).err
        == f"error: ALREADY_EXISTS: Already exists: {FULL}.\n"
    )


def test_a_published_message_has_an_id(looked_at: Cloud) -> None:
    request = json.dumps({"cluster": FULL, "mesh": "linkerd"})
    ran = looked_at.local("publish", "mesh-verify", "--message", request)
    message_id = ran.out.removeprefix("published as ").strip()
    looked_at.until(lambda: looked_at.statuses(FULL, request_id=message_id, phase="Ready"), "the rerun's status")


def test_a_function_can_be_restarted_and_works_on(looked_at: Cloud) -> None:
    before = looked_at.function("verify_mesh")
    ran = looked_at.local("restart", "verify_mesh")
    after = looked_at.function("verify_mesh")
    assert ran.out == f"verify_mesh is process {after.pid}\n"
    assert after != before
    assert not before.is_running()
    message_id = looked_at.publish("mesh-verify", {"cluster": FULL, "mesh": "linkerd"})
    looked_at.until(lambda: looked_at.statuses(FULL, request_id=message_id, phase="Ready"), "the rerun's status")


def test_an_unknown_function_is_told(looked_at: Cloud) -> None:
    assert looked_at.local("restart", "remove_mesh", code=1).err == (
        "error: there is no function remove_mesh; there are: "
        "enable_net_admin, install_mesh, verify_mesh, enforce_policy\n"
    )


def test_the_environment_lets_other_commands_reach_it(looked_at: Cloud) -> None:
    variables = looked_at.json("env")
    printed = looked_at.local("env").out
    assert shlex.split(printed) == [word for pair in variables.items() for word in ("export", "=".join(pair))]
    for named in (("--cluster", FULL), ("--cluster", "looked-at", "--location", LOCATION)):
        ran = looked_at.run("check", *named, **variables)
        assert ran.code == 0, ran.err
        assert ran.out.endswith("Status check results are √\n")
    twice = looked_at.run("check", "--cluster", "looked-at", **variables)
    assert twice.code == 1
    assert f"looked-at is {LOCATION}, europe-west1-b in the project {PROJECT}" in twice.err
    missing = looked_at.run("check", "--cluster", "nowhere", **variables)
    assert missing.code == 1
    assert f"nowhere is nowhere in the project {PROJECT}" in missing.err


def test_a_check_by_kubeconfig_has_the_shape_of_linkerds_own(looked_at: Cloud, tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    looked_at.local("kubeconfig", FULL, "--file", str(file))
    ran = looked_at.run("check", "--kubeconfig", str(file), "-o", "json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert report["success"] is True
    existence = next(one for one in report["categories"] if one["categoryName"] == "linkerd-existence")
    assert {"description": "cluster networks contains all services", "result": "success"} in [
        {key: check[key] for key in ("description", "result")} for check in existence["checks"]
    ]


def test_a_cluster_made_anew_is_another_one(looked_at: Cloud) -> None:
    looked_at.delete(FULL)
    # The other one is alone now with the name that both had.
    deleted = looked_at.json("delete-cluster", "looked-at")
    assert deleted["cluster"] == NAMESAKE
    looked_at.create("looked-at", "--standard")
    assert looked_at.statuses(FULL)
    assert looked_at.json("wait", FULL, "--timeout", "0", code=2) is None
    assert looked_at.cluster(FULL)["mesh"] is None
