"""The pure parts of the benchmarks: figures, hops, requests, baselines; nothing here is measured."""

from __future__ import annotations

import ast
import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench import cold_start, hops, imports, requests, show
from bench.by_hand import values_by_release
from bench.cloud import creation, spans
from bench.figures import BenchError, Breakdown, Comparison, Report, ordered_union
from shared.mesh.linkerd import networks
from shared.mesh.profile import load_profile

BEGAN = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def at(seconds: float) -> str:
    return (BEGAN + dt.timedelta(seconds=seconds)).isoformat()


def event(begin: float, seconds: float, target: str, **fields: Any) -> dict[str, Any]:
    kind = "eventarc" if target == "enable_net_admin" else "pubsub"
    told = {"kind": kind, "error": None, "line": f"for {target}", "target": target}
    return {**told, "time": at(begin), "seconds": seconds, **fields}


def status(time: float, phase: str, **fields: Any) -> dict[str, Any]:
    return {"phase": phase, "time": at(time), "timings": {}, "waits_for": "", "reason": "", "message": "", **fields}


EVENTS = [
    event(-3.0, 0.01, "enable_net_admin", line="CreateCluster a: first entry"),
    event(0.0, 0.2, "enable_net_admin", line="CreateCluster a: last entry"),
    event(0.3, 0.1, "install_mesh"),
    event(0.5, 1.0, "install_mesh"),
    event(0.41, 0.01, "127.0.0.1", kind="tasks"),
    # Published in the middle of the installation's handler, which answers 0.1 s later.
    event(1.4, 1.0, "verify_mesh"),
]
STATUSES = [
    status(0.19, "Enabling"),
    status(0.39, "Pending", waits_for="operation o", reason="OperationRunning"),
    status(
        1.45,
        "Verifying",
        timings={"apply": 0.7, "helm linkerd-control-plane": 0.4, "helm linkerd-crds": 0.2, "plan": 0.1},
    ),
    status(2.3, "Ready", timings={"checks": 0.3, "readiness": 0.2}),
]


def comparison(**fields: Any) -> Comparison:
    given = {"what": "it", "against": "that", "unit": "s", "ours": (2.0, 9.0, 3.0), "theirs": (1.0, 3.0, 2.0)}
    return Comparison(**{**given, **fields})


def test_ratios_are_taken_within_rounds() -> None:
    assert comparison().ratios == (2.0, 3.0, 1.5)
    assert comparison().ratio == 2.0


def test_json_has_all_figures_and_their_medians() -> None:
    found = json.loads(json.dumps(comparison(goal=1.2).as_json()))
    assert found["ours"] == [2.0, 9.0, 3.0]
    assert (found["ours_median"], found["theirs_median"], found["ratio"], found["goal"]) == (3.0, 2.0, 2.0, 1.2)


@pytest.mark.parametrize(("ours", "theirs"), [((1.0, 2.0), (1.0,)), ((), ())])
def test_a_comparison_has_a_pair_a_round(ours: tuple[float, ...], theirs: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=f"it: {len(ours)} figures against {len(theirs)}"):
        comparison(ours=ours, theirs=theirs)


def test_names_of_several_rounds_keep_their_order() -> None:
    assert ordered_union([["enable", "install"], ["enable", "wait", "install", "verify"]]) == [
        "enable",
        "wait",
        "install",
        "verify",
    ]


def test_a_part_that_a_round_lacks_was_nothing_in_it() -> None:
    found = Breakdown.of("it", "s", [{"a": 1.0}, {"a": 2.0, "wait": 5.0}, {"a": 9.0}])
    assert found.parts == {"a": 2.0, "wait": 0.0}


def test_the_creation_is_its_accepted_last_entry() -> None:
    refused = event(-1.0, 0.1, "enable_net_admin", line="CreateCluster a: last entry", error="500")
    assert creation([refused, *EVENTS]) == EVENTS[1]
    assert creation([refused, EVENTS[0]]) is None


def test_a_time_lies_within_a_delivery_or_not() -> None:
    assert spans(EVENTS[1], at(0.0))
    assert spans(EVENTS[1], at(0.2))
    assert not spans(EVENTS[1], at(0.21))


def test_the_total_is_from_acceptance_to_the_first_ready() -> None:
    assert hops.total(EVENTS, [*STATUSES, status(9.0, "Ready")]) == pytest.approx(2.3)


def test_hops_add_up_to_the_total() -> None:
    found = hops.hops(EVENTS, STATUSES)
    assert sum(seconds for part, seconds in found.items() if " · " not in part) == pytest.approx(2.3)


def test_hops_are_handlers_gaps_and_stages() -> None:
    assert hops.hops(EVENTS, STATUSES) == pytest.approx(
        {
            "enable_net_admin": 0.2,
            "enable_net_admin → install_mesh": 0.1,
            "install_mesh, waits (OperationRunning)": 0.1,
            "install_mesh, waits (OperationRunning) → install_mesh": 0.1,
            "install_mesh": 0.9,
            "install_mesh · plan": 0.1,
            "install_mesh · apply": 0.7,
            "install_mesh · apply · helm linkerd-control-plane": 0.4,
            "install_mesh · apply · helm linkerd-crds": 0.2,
            "install_mesh · the rest": 0.1,
            "install_mesh → verify_mesh": 0.0,
            "verify_mesh": 0.9,
            "verify_mesh · checks": 0.3,
            "verify_mesh · readiness": 0.2,
            "verify_mesh · the rest": 0.4,
        }
    )


def test_stages_stand_in_the_order_of_their_work() -> None:
    names = [part for part in hops.hops(EVENTS, STATUSES) if part.startswith("install_mesh ·")]
    assert [part.rpartition(" · ")[2] for part in names] == [
        "plan",
        "apply",
        "helm linkerd-control-plane",
        "helm linkerd-crds",
        "the rest",
    ]


def test_a_refused_delivery_is_a_part_of_its_own() -> None:
    refused = event(0.25, 0.02, "install_mesh", error="500")
    assert hops.hops([*EVENTS, refused], STATUSES)["install_mesh, refused"] == pytest.approx(0.02)


def test_without_ready_or_creation_there_is_nothing_to_tell() -> None:
    with pytest.raises(BenchError, match="no status says Ready"):
        hops.hops(EVENTS, STATUSES[:-1])
    with pytest.raises(BenchError, match="no last entry"):
        hops.hops(EVENTS[:1], STATUSES)


@pytest.mark.parametrize(
    ("note", "name"),
    [
        ({"kind": "grpc", "method": "GetCluster", "target": "ClusterManager"}, "ClusterManager GetCluster"),
        ({"method": "GET", "target": "127.0.0.1:1/api/v1/namespaces/linkerd"}, "cluster get namespaces"),
        (
            {"method": "GET", "target": "127.0.0.1:1/api/v1/namespaces/linkerd/secrets?limit=500"},
            "cluster list secrets",
        ),
        ({"method": "GET", "target": "127.0.0.1:1/api/v1/namespaces/linkerd/secrets/a"}, "cluster get secrets"),
        ({"method": "GET", "target": "127.0.0.1:1/apis/apps/v1/deployments"}, "cluster list deployments"),
        (
            {"method": "POST", "target": "127.0.0.1:1/api/v1/namespaces/default/pods?dryRun=All"},
            "cluster create pods, dry run",
        ),
        (
            {"method": "PATCH", "target": "127.0.0.1:1/apis/apps/v1/namespaces/l/deployments/d?force=true"},
            "cluster patch deployments",
        ),
        ({"method": "DELETE", "target": "127.0.0.1:1/api/v1/namespaces/l/secrets/s"}, "cluster delete secrets"),
        ({"method": "GET", "target": "127.0.0.1:1/apis/apps/v1"}, "cluster discovery"),
        ({"method": "POST", "target": "127.0.0.1:1/token"}, "/token"),
        (
            {"method": "GET", "target": "iam.example.com:443/v1/accounts/a/locations?x=1"},
            "iam.example.com:443 …/locations",
        ),
    ],
)
def test_requests_have_names(note: dict[str, str], name: str) -> None:
    assert requests.request_name({"kind": "http", **note}) == name


def test_requests_count_for_the_delivery_in_whose_time_they_began() -> None:
    def note(seconds: float) -> dict[str, Any]:
        time = (BEGAN + dt.timedelta(seconds=seconds)).timestamp()
        return {"kind": "grpc", "method": "GetCluster", "target": "C", "time": time, "seconds": 0.5}

    chain = hops.deliveries(EVENTS)
    notes = {"install_mesh": [note(0.35), note(0.6), note(0.7), note(1.7)], "enable_net_admin": [note(-2.99)]}
    numbers, seconds = requests.counted(chain, notes)
    assert numbers == {"install_mesh": 3, "install_mesh · C GetCluster": 3}
    assert seconds == {"install_mesh": 1.5, "install_mesh · C GetCluster": 1.5}


def test_a_baseline_imports_the_same_and_does_nothing() -> None:
    source = imports.baseline("install_mesh", [("msgspec", ()), ("google.cloud", ("container_v1", "tasks_v2"))])
    parsed = ast.parse(source)
    assert [ast.unparse(node) for node in parsed.body[:-1]] == [
        "import functions_framework",
        "import msgspec",
        "from google.cloud import container_v1, tasks_v2",
    ]
    function = parsed.body[-1]
    assert isinstance(function, ast.FunctionDef)
    assert (function.name, [ast.unparse(one) for one in function.body]) == ("install_mesh", ["pass"])


def test_only_what_our_modules_ask_of_others_is_recorded() -> None:
    recorder = imports.Recorder(lambda name, *_: name)
    recorder("msgspec", {"__name__": "shared.model"}, None, ("json",))
    recorder("msgspec", {"__name__": "shared.model"}, None, ("json",))
    recorder("google.cloud", {"__name__": "functions.measured"}, None, None)
    recorder("google.api_core", {"__name__": "google.cloud.container_v1"}, None, None)
    recorder("shared.model", {"__name__": "shared.gke"}, None, ("ClusterRef",))
    recorder("json", {"__name__": "shared.gke"}, None, None)
    recorder("neighbour", {"__name__": "shared.gke"}, None, None, 1)
    assert recorder("yaml", {"__name__": "other"}) == "yaml"
    assert list(recorder.found) == [("msgspec", ("json",)), ("google.cloud", ())]


def test_a_command_line_gets_other_values_behind_its_options() -> None:
    line = ["python", "-m", "functions_framework", "--source", "a.py", "--port", "1"]
    assert cold_start.replaced(line, {"--source": "b.py", "--port": "2"}) == (
        *line[:3],
        *("--source", "b.py", "--port", "2"),
    )


def test_measured_functions_may_keep_their_bytecode() -> None:
    found = cold_start.warm({"A": "1", "PYTHONDONTWRITEBYTECODE": "1"}, Path("cache"))
    assert found == {"A": "1", "PYTHONPYCACHEPREFIX": "cache"}


def test_each_function_is_sent_what_is_its_own() -> None:
    found = cold_start.events()
    assert set(found) == {"enable_net_admin", "install_mesh", "verify_mesh"}
    assert json.loads(found["enable_net_admin"].body)["operation"]["last"] is True
    assert json.loads(found["install_mesh"].body)["message"]["attributes"]["cluster"].endswith("/clusters/gone")
    assert found["verify_mesh"].path == "/projects/demo-project/topics/mesh-verify"


def test_by_hand_has_certificates_and_networks_of_its_own() -> None:
    values = values_by_release(load_profile("linkerd"), BEGAN)
    assert list(values) == ["linkerd-crds", "linkerd-control-plane"]
    plane = values["linkerd-control-plane"]
    assert plane["clusterNetworks"] == f"{networks.DEFAULT_NETWORKS},34.118.224.0/20"
    pem = [plane["identity"]["issuer"]["tls"]["crtPEM"], plane["identityTrustAnchorsPEM"]]
    assert [text.splitlines()[0] for text in pem] == ["-----BEGIN CERTIFICATE-----"] * 2
    assert plane["proxyInjector"]["caBundle"] == plane["proxyInjector"]["crtPEM"]
    # The profile's own values are given too: the same pods are asked for.
    assert plane["proxy"]["resources"]["cpu"] == {"request": "100m"}


def test_tables_show_medians_ratios_and_goals() -> None:
    console = Console(record=True, width=120)
    memory = comparison(what="memory", unit="MiB", against="hello-world", ours=(20.0,), theirs=(10.0,))
    parts = Breakdown(what="hops", unit="s", parts={"install": 1.0, "install · apply": 0.5})
    show.report(console, "install", Report((comparison(goal=1.0), memory), (parts,)))
    lines = [line.rstrip() for line in console.export_text().splitlines() if line.strip()]
    assert [" ".join(line.split()) for line in lines] == [
        "install against that: medians",
        "MEASURED OURS THEIRS RATIO IN ROUNDS GOAL",
        "it 3.000 s 2.000 s 2.00 1.50-3.00 1.0",
        "install against hello-world: medians",
        "MEASURED OURS THEIRS RATIO IN ROUNDS GOAL",
        "memory 20.0 MiB 10.0 MiB 2.00 2.00-2.00 -",
        "hops",
        "PART s",
        "install 1.000",
        "apply 0.500",
    ]
    assert lines[-1].startswith("  apply")
