"""`byomesh policy` in this process: faults, decisions about creations, and the rules explained."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from byomesh.cli import facts
from byomesh.cli.main import app
from shared import gke
from shared.errors import Permanent
from shared.model import ClusterRef
from tests.unit.doors import EU1, MemoryGke, autopilot

EVENTS = Path(__file__).resolve().parents[1] / "data" / "events"
CHECKOUT = "projects/shop-prod/locations/europe-west1/clusters/checkout"
POLICY = """\
schema: 1
rules:
  - name: stable
    match: {releaseChannel: STABLE}
    mesh: linkerd
    mode: audit
  - name: shop
    match: {projects: shop*, labels: {team: "*"}}
    mesh: linkerd
    netAdmin: forbidden
  - name: rest
    match: {autopilot: true}
    mesh: linkerd
    ha: true
"""
REMARK = (
    "remark: line 7: the rule 'shop' forbids NET_ADMIN, which a mesh may need on Autopilot: it would be refused there"
)
BEGUN = (
    f"enable_net_admin ignores this entry: CreateCluster of {CHECKOUT} has only begun; its last entry is what counts"
)
CHANNEL = "its release channel is REGULAR, for none is named"


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOOGLE_CLOUD_PROJECT", "BYOMESH_POLICY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return str(path)


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, ["policy", *arguments], env={"COLUMNS": "300"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


# check ----------------------------------------------------------------------------------------------------------------


def test_a_usable_policy_is_told(file: str) -> None:
    result = run("check", file)
    assert (result.exit_code, result.stdout.splitlines()) == (
        0,
        [
            REMARK,
            f"{file} can be used: 3 rules",
        ],
    )
    as_json = run("check", file, "-o", "json")
    assert as_json.exit_code == 0
    told = json.loads(as_json.stdout)
    assert len(told.pop("remarks")) == 1
    assert told == {"file": file, "usable": True, "rules": 3, "faults": []}


def test_every_fault_is_told_and_ends_in_status_1(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("schema: 1\nrules:\n  - {name: a, mesh: linkered}\n  - {name: '[b]', mesh: none, ha: '[red]x'}\n")
    result = run("check", str(file))
    assert (result.exit_code, result.stdout.splitlines()) == (
        1,
        [
            f"{file}:3:21: there is no mesh 'linkered'; known: linkerd, none; write linkerd",
            f"{file}:4:35: ha is a text, neither true nor false; write true or false",
            f"{file} can't be used: 2 faults",
        ],
    )
    as_json = run("check", str(file), "-o", "json")
    assert as_json.exit_code == 1
    told = json.loads(as_json.stdout)
    assert (told["usable"], told["rules"], told["remarks"]) == (False, 0, [])
    assert told["faults"][0] == {
        "line": 3,
        "column": 21,
        "problem": "there is no mesh 'linkered'; known: linkerd, none",
        "remedy": "write linkerd",
    }


def test_a_missing_file_is_a_fault_without_a_place(tmp_path: Path) -> None:
    result = run("check", str(tmp_path / "none.yaml"))
    assert result.exit_code == 1
    assert result.stdout.startswith(f"{tmp_path}/none.yaml: the policy can't be read: No such file or directory; ")
    assert result.stdout.endswith("can't be used: 1 fault\n")


@pytest.mark.parametrize("mesh", ["linkerd", "{label: mesh}"])
def test_what_the_profile_refuses_is_a_fault_of_the_rule(mesh: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    match = "match: {labels: {mesh: linkerd}}"
    file.write_text(f"schema: 1\nrules:\n  - {{name: a, {match}, mesh: {mesh}, values: {{linkerd-cp: {{a: 1}}}}}}\n")
    result = run("check", str(file))
    assert result.exit_code == 1
    assert result.stdout.startswith(
        f"{file}:3:1: the rule 'a' has settings that linkerd refuses: values.linkerd-cp: linkerd has no such release"
    )


# test -----------------------------------------------------------------------------------------------------------------


def decided(policy: str, event: Path | str) -> dict[str, Any]:
    result = run("test", policy, str(event), "-o", "json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def entry(**cluster: Any) -> dict[str, Any]:
    """The first entry of a creation, with this cluster in its request."""
    found: dict[str, Any] = json.loads((EVENTS / "created-first.json").read_text())
    found["protoPayload"]["request"]["cluster"] = {"name": "checkout", **cluster}
    return found


def written(folder: Path, data: Any) -> str:
    file = folder / "event.json"
    file.write_text(json.dumps(data))
    return str(file)


REST = {
    "mode": "install",
    "mesh": "linkerd",
    "netAdmin": "required",
    "enforced": True,
    "reason": "the rule rest asks for linkerd",
    "rule": "rest",
    "line": 11,
    "settings": {"ha": True},
    "refused": "",
}


def test_the_entry_of_a_creation_is_decided_about(file: str, tmp_path: Path) -> None:
    labels = {"env": "prod"}
    event = written(
        tmp_path,
        entry(autopilot={"enabled": True}, resourceLabels=labels, releaseChannel={"channel": "RAPID"}),
    )
    assert decided(file, event) == {
        "policy": file,
        "facts": {
            "cluster": CHECKOUT,
            "autopilot": True,
            "labels": labels,
            "releaseChannel": "RAPID",
            "folders": [],
        },
        "assumed": [],
        "note": BEGUN,
        "decision": REST,
        "paused": None,
    }


@pytest.mark.parametrize("name", ["created-last.json", "created-last-pubsub.json"])
def test_what_a_last_entry_leaves_out_is_assumed_and_said(file: str, name: str) -> None:
    found = decided(file, EVENTS / name)
    assert found["decision"] == REST
    assert found["assumed"] == [
        "it is an Autopilot cluster without labels, for the entry has no request (a first one has)",
        CHANNEL,
    ]
    assert "note" not in found


def structured(data: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "type": "t", "source": "s", "id": "1", "data": data}


@pytest.mark.parametrize("wrap", ["push", "structured", "structured push"])
def test_every_envelope_is_opened(file: str, wrap: str, tmp_path: Path) -> None:
    event: Any = entry(autopilot={"enabled": True})
    if "push" in wrap:
        event = {"message": {"data": base64.b64encode(json.dumps(event).encode()).decode(), "messageId": "1"}}
    if "structured" in wrap:
        event = structured(event)
    assert decided(file, written(tmp_path, event))["decision"] == REST


def test_a_standard_clusters_entry_says_so(file: str, tmp_path: Path) -> None:
    found = decided(file, written(tmp_path, entry(autopilot={}, releaseChannel={})))
    assert (found["facts"]["autopilot"], found["facts"]["releaseChannel"]) == (False, "UNSPECIFIED")
    assert found["assumed"] == ["its release channel is UNSPECIFIED, for none is named"]
    assert (found["decision"]["mode"], found["decision"]["rule"], found["decision"]["line"]) == ("ignore", "(none)", 0)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("created-rejected.json", "was rejected, so no operation began"),
        ("created-failed-last.json", "failed: code 8"),
        ("updated-last.json", "UpdateCluster asks for nothing here"),
    ],
)
def test_an_entry_that_nothing_follows_from_is_noted(file: str, name: str, words: str) -> None:
    found = decided(file, EVENTS / name)
    assert found["facts"]["cluster"] == CHECKOUT
    assert words in found["note"]


def test_a_resource_that_names_only_its_location_is_completed_from_the_request(file: str, tmp_path: Path) -> None:
    event = entry(autopilot={"enabled": True})
    del event["resource"]
    event["protoPayload"]["resourceName"] = "projects/shop-prod/zones/europe-west1-b"
    cluster = "projects/shop-prod/locations/europe-west1-b/clusters/checkout"
    assert decided(file, written(tmp_path, event))["facts"]["cluster"] == cluster


def test_plain_facts_are_decided_about(file: str, tmp_path: Path) -> None:
    plain = {
        "cluster": str(EU1),
        "autopilot": True,
        "labels": {"team": "x"},
        "releaseChannel": "rapid",
        "folders": ["folders/1"],
    }
    found = decided(file, written(tmp_path, plain))
    assert found["facts"] == {**plain, "releaseChannel": "RAPID"}
    assert found["assumed"] == []
    assert (found["decision"]["rule"], found["decision"]["netAdmin"]) == ("shop", "forbidden")
    assert found["decision"]["refused"] == "linkerd needs NET_ADMIN, which the rule shop forbids"


def test_the_least_facts_are_a_name(file: str, tmp_path: Path) -> None:
    found = decided(file, written(tmp_path, {"cluster": str(EU1)}))
    assert found["assumed"] == ["it is an Autopilot cluster", "it has no labels", CHANNEL]
    standard = decided(file, written(tmp_path, {"cluster": str(EU1), "autopilot": False, "labels": {}}))
    assert standard["assumed"] == ["its release channel is UNSPECIFIED, for none is named"]


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        ({"workloadPolicyConfig": {"allowNetAdmin": True}}, ""),
        ({}, "linkerd needs NET_ADMIN, which is off, and the rule a leaves it as it is"),
    ],
)
def test_what_the_creation_asked_for_itself_counts(asked: dict[str, Any], refused: str, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("schema: 1\nrules:\n  - {name: a, mesh: linkerd, netAdmin: leave}\n")
    event = written(tmp_path, entry(autopilot={"enabled": True, **asked}))
    assert decided(str(policy), event)["decision"]["refused"] == refused


def test_a_label_that_names_no_mesh_is_refused(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    rule = "{name: a, mesh: {label: mesh}, match: {labels: {mesh: '*'}}}"
    policy.write_text(f"schema: 1\nrules:\n  - {rule}\n")
    event = written(tmp_path, {"cluster": str(EU1), "labels": {"mesh": "istia"}})
    found = decided(str(policy), event)["decision"]
    words = "its label mesh=istia names no known mesh; known: linkerd, none"
    assert (found["mode"], found["refused"], found["reason"]) == ("refuse", words, words)
    shown = run("test", str(policy), event).stdout
    assert "DECISION  it is refused" in shown
    assert shown.count(words) == 1


def test_folders_that_are_unknown_are_said_where_a_rule_asks_for_them(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("schema: 1\nrules:\n  - {name: a, mesh: linkerd, match: {folders: x}}\n")
    words = "the folders above its project are unknown, so nothing with folders matches"
    assert words in decided(str(policy), EVENTS / "created-first.json")["assumed"]
    known = written(tmp_path, {"cluster": str(EU1), "folders": ["x"]})
    found = decided(str(policy), known)
    assert (words in found["assumed"], found["decision"]["rule"]) == (False, "a")


def test_a_person_reads_the_decision_in_a_table(file: str) -> None:
    lines = [
        " ".join(line.split()) for line in run("test", file, str(EVENTS / "created-first.json")).stdout.splitlines()
    ]
    assert lines == [
        f"{CHECKOUT}: Autopilot, no labels, channel REGULAR",
        f"assumed: {CHANNEL}",
        f"note: {BEGUN}",
        "",
        "DECISION it gets a mesh",
        "mesh linkerd",
        "netAdmin required",
        f"rule rest ({file}:11)",
        "reason the rule rest asks for linkerd",
        "ha true",
    ]


def test_a_person_reads_why_it_is_refused(file: str, tmp_path: Path) -> None:
    shown = run("test", file, written(tmp_path, {"cluster": str(EU1), "labels": {"team": "x"}})).stdout
    assert "DECISION  it is refused" in shown
    assert "linkerd needs NET_ADMIN, which the rule shop forbids" in shown


BAD: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"{", "truncated"),
    "no text": (b'"\xff"', "event.json"),
    "a list": (b"[]", "neither an audit entry nor an object with a cluster"),
    "nothing known": (b"{}", "neither an audit entry nor an object with a cluster"),
    "a cluster of another kind": (b'{"cluster": {}}', "neither an audit entry nor an object with a cluster"),
    "a cluster's bare name": (b'{"cluster": "eu-1"}', "'eu-1' is not a cluster's resource name"),
    "a wrong fact": (f'{{"cluster": "{EU1}", "autopilot": "yes"}}'.encode(), "Expected `bool | null`, got `str`"),
    "an unknown fact": (f'{{"cluster": "{EU1}", "mode": "auto"}}'.encode(), "unknown field `mode`"),
    "an entry of nothing": (b'{"protoPayload": 3}', "Expected `object`, got `int`"),
    "a request of nothing": (
        json.dumps({**entry(), "protoPayload": {**entry()["protoPayload"], "request": 3}}).encode(),
        "Expected `object`, got `int`",
    ),
    "labels of nothing": (json.dumps({**entry(), "resource": {"labels": 3}}).encode(), "Expected `object`, got `int`"),
    "a push of nothing": (b'{"message": {"data": "!"}}', "Invalid base64"),
    "a push of no JSON": (b'{"message": {"data": "e30x"}}', "JSON is malformed"),
    "deep": (b"[" * 100_000, "event.json"),
    "long": (b" " * (facts.LIMIT + 1), "it has more than 10 MiB"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_tells_of_no_cluster_ends_in_a_sentence(case: str, file: str, tmp_path: Path) -> None:
    content, words = BAD[case]
    event = tmp_path / "event.json"
    event.write_bytes(content)
    result = run("test", file, str(event))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: BadEvent: ")
    assert words in result.stderr
    assert "give the audit entry of a cluster's creation" in result.stderr


def test_a_bad_policy_and_a_missing_event_end_in_a_sentence(file: str, tmp_path: Path) -> None:
    missing = run("test", file, str(tmp_path / "none.json"))
    assert (missing.exit_code, "No such file" in missing.stderr) == (1, True)
    bad = tmp_path / "bad.yaml"
    bad.write_text("rules: 3\n")
    result = run("test", str(bad), str(EVENTS / "created-first.json"))
    assert result.exit_code == 1
    assert f"{bad}:1:1: the policy doesn't say its schema" in result.stderr


_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from([CHECKOUT, "e30="]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "cluster",
                    "protoPayload",
                    "request",
                    "resource",
                    "labels",
                    "message",
                    "data",
                    "specversion",
                    "autopilot",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(_JSON, _JSON, _JSON)
def test_any_json_tells_of_a_cluster_or_is_told(data: Any, request: Any, resource: Any) -> None:
    changed = entry()
    changed["protoPayload"]["request"] = request
    changed["resource"] = resource
    for one in (data, changed, {"message": {"data": data}}):
        try:
            assert isinstance(facts.known(one).facts.cluster, ClusterRef)
        except (Permanent, msgspec.DecodeError):
            continue


# explain --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    google = MemoryGke(autopilot(labels={"team": "x"}, release_channel="REGULAR", allow_net_admin=False))
    monkeypatch.setattr(gke, "gke", lambda: google)


@pytest.mark.usefixtures("cluster")
def test_a_live_cluster_is_explained_rule_by_rule(file: str) -> None:
    result = run("explain", str(EU1), "--file", file)
    assert result.exit_code == 0, result.stderr
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines == [
        f"{EU1}: Autopilot, team=x, channel REGULAR",
        "",
        "· opted-out: doesn't match",
        "× labels.byomesh: absent is not off",  # noqa: RUF001 - the command's mark
        "· stable: doesn't match",
        "× releaseChannel: REGULAR is not STABLE",  # noqa: RUF001 - likewise
        "→ shop: decides",
        "√ projects: shop is shop*",
        "√ labels.team: x is *",
        "· rest: matches, but another decided before it",
        "√ autopilot: true is true",
        "",
        "DECISION it is refused",
        "mesh linkerd",
        "netAdmin forbidden",
        f"rule shop ({file}:7)",
        "reason the rule shop asks for linkerd",
        "refused linkerd needs NET_ADMIN, which the rule shop forbids",
    ]


@pytest.mark.usefixtures("cluster")
def test_a_program_reads_every_condition(file: str) -> None:
    found = json.loads(run("explain", str(EU1), "--file", file, "-o", "json").stdout)
    assert [one["rule"] for one in found["rules"]] == ["opted-out", "stable", "shop", "rest"]
    assert found["rules"][2] == {
        "rule": "shop",
        "line": 7,
        "matches": True,
        "decides": True,
        "conditions": [
            {"key": "projects", "wanted": ["shop*"], "found": ["shop"], "holds": True},
            {"key": "labels.team", "wanted": ["*"], "found": ["x"], "holds": True},
        ],
    }
    assert found["decision"]["rule"] == "shop"


@pytest.mark.usefixtures("cluster")
def test_the_policy_is_the_functions_own_where_none_is_named(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    named = ("explain", "eu-1", "--project", "shop", "--location", "europe-west1", "-o", "json")
    assert json.loads(run(*named).stdout)["decision"]["rule"] == "autopilot"
    monkeypatch.setenv("BYOMESH_POLICY", file)
    assert json.loads(run(*named).stdout)["policy"] == file
    monkeypatch.setenv("BYOMESH_POLICY", POLICY)
    assert json.loads(run(*named).stdout)["policy"] == "BYOMESH_POLICY"


@pytest.mark.usefixtures("cluster")
def test_a_rule_for_every_cluster_has_no_condition_to_show(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("schema: 1\nrules:\n  - {name: all, mode: off}\n")
    shown = run("explain", str(EU1), "--file", str(policy)).stdout
    assert "→ all: decides\n    it is for every cluster\n" in shown
    assert "DECISION  it is left alone" in shown


def test_a_policy_and_a_cluster_that_are_wrong_end_in_a_sentence(file: str) -> None:
    assert "NoProject" in run("explain", "eu-1", "--file", file).stderr
    assert "gs://" in run("explain", "eu-1", "--file", "gs://b/p.yaml").stderr
