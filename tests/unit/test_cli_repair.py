"""`byomesh plan` and `byomesh repair` in this process: what they show, what they end with, how often they write."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from typer.testing import CliRunner, Result

from byomesh.cli import repair, restarting
from byomesh.cli.main import app
from shared import gke, kube
from shared.errors import Temporary
from shared.mesh import mending, readiness
from shared.mesh import restarting as shared_restarting
from shared.mesh.drift import Drift, ObjectName
from shared.mesh.hooks import Ranges, Stale, Verification
from shared.mesh.linkerd import injecting
from shared.mesh.mending import Change, Mending, ObservedRanges, Remember
from shared.mesh.patch import Patch
from shared.mesh.rollouts import Progress, State, Target
from shared.mesh.snapshot import Workload
from shared.model import CategoryReport, CheckOutcome, CheckReport, CheckResult, Remedy, Repair
from tests.unit.doors import EU1, MemoryGke, autopilot
from tests.unit.memory_kube import MemoryKube

CROSS = "×"  # noqa: RUF001 - the mark that `linkerd check` prints
PATCH = Patch("/api/v1/namespaces/linkerd/configmaps/c", "ConfigMap c: networks", "merge", {"data": {"n": "2"}})
CHANGE = Change(
    "ConfigMap c: networks",
    {"data": {"n": "1"}, "kind": "C"},
    {"data": {"n": "2"}, "kind": "C"},
    Repair.CLUSTER_NETWORKS,
)
HELD = Drift(ObjectName("Role", "linkerd", "r"), ("rules",), (("kubectl-edit", ".rules"), ("flux", ".labels")))


def found(*, healthy: bool, repairs: tuple[Patch, ...] = (), left_alone: tuple[Drift, ...] = ()) -> Mending:
    fault = CheckResult("the networks", CheckOutcome.FAIL, "they [lack] the Services", "https://hint")
    checks = (CheckResult("the pods", CheckOutcome.PASS), *(() if healthy else (fault,)))
    report = CheckReport((CategoryReport("existence", checks),))
    return Mending(seen=Verification(report=report, repairs=repairs, version=""), reapply=(), left_alone=left_alone)


class Looks:
    """Answers each look at a cluster with the next of what is found there.

    Attributes:
        written: what was carried out, in order.
        ranges: the ranges that each look was given.
        slept: the seconds that passed by waiting.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._answers: list[Mending] = []
        self.written: list[Mending] = []
        self.ranges: list[Ranges] = []
        self.slept = 0.0
        self.kube = MemoryKube()
        monkeypatch.setattr(kube, "from_kubeconfig", self._open)
        monkeypatch.setattr(mending, "find", self._find)
        monkeypatch.setattr(mending, "changes", lambda _kube, one: (CHANGE,) * len(one.seen.repairs))
        monkeypatch.setattr(mending, "carry_out", lambda _kube, one: self.written.append(one))
        monkeypatch.setattr(readiness, "look", lambda _kube, _profile: "")
        # The command's own name for the module, so that nobody else's clock stands still.
        clock = SimpleNamespace(monotonic=lambda: self.slept, sleep=self._sleep)
        monkeypatch.setattr(repair, "time", clock)

    def let(self, *answers: Mending) -> None:
        self._answers = list(answers)

    def _sleep(self, seconds: float) -> None:
        self.slept += seconds

    @contextlib.contextmanager
    def _open(self, _path: Path) -> Iterator[MemoryKube]:
        yield self.kube

    def _find(self, api: MemoryKube, _profile: object, ranges: Ranges, _now: object, expected: None) -> Mending:
        assert api is self.kube
        assert expected is None
        self.ranges.append(ranges)
        return self._answers.pop(0)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    return Looks(monkeypatch)


def run(command: str, *options: str) -> Result:
    result = CliRunner().invoke(app, [command, "--kubeconfig", "somewhere", *options])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


DIFF = ["--- live", "+++ repaired", "@@ -1,3 +1,3 @@", " data:", "-  n: '1'", "+  n: '2'", " kind: C"]


# The plan -------------------------------------------------------------------------------------------------------------


def test_a_plan_shows_what_fails_and_what_would_change(looks: Looks) -> None:
    looks.let(found(healthy=False, repairs=(PATCH,), left_alone=(HELD,)))
    result = run("plan")
    assert result.exit_code == 3
    assert result.stdout.splitlines() == [
        f"{CROSS} the networks",
        "    they [lack] the Services",
        "",
        "clusterNetworks: ConfigMap c: networks",
        *DIFF[2:],
        "left alone: Role linkerd/r at .rules, which kubectl-edit holds",
        "left alone: Role linkerd/r at .labels, which flux holds",
        "",
        "1 repair would be written",
    ]
    assert looks.written == []


def test_a_plan_says_of_each_check_what_mends_it_or_what_to_do(looks: Looks) -> None:
    results = (
        CheckResult("the networks", CheckOutcome.FAIL, "they lack"),
        CheckResult("the issuer", CheckOutcome.FAIL, "it expired"),
        CheckResult("the pods", CheckOutcome.WARN, "no room"),
    )
    remedies = (
        Remedy("the networks", (Repair.CLUSTER_NETWORKS,), "add them"),
        Remedy("the issuer", (Repair.ISSUER_RENEWAL,), "ask its CA"),
        Remedy("the pods", (), "add nodes"),
    )
    seen = Verification(
        report=CheckReport((CategoryReport("c", results),)), repairs=(PATCH,), version="", remedies=remedies
    )
    looks.let(*[Mending(seen=seen, reapply=(), left_alone=())] * 2)
    assert run("plan").stdout.splitlines()[:9] == [
        f"{CROSS} the networks",
        "    they lack",
        "    mended by: clusterNetworks",
        f"{CROSS} the issuer",
        "    it expired",
        "    what to do: ask its CA",
        "‼ the pods",
        "    no room",
        "    what to do: add nodes",
    ]
    told = json.loads(run("plan", "-o", "json").stdout)
    assert told["failing"][1]["repairs"] == ["issuerRenewal"]
    assert [one["advice"] for one in (*told["failing"], *told["warnings"])] == ["add them", "ask its CA", "add nodes"]


def test_a_plan_of_nothing_ends_well(looks: Looks) -> None:
    looks.let(found(healthy=True))
    result = run("plan")
    assert (result.exit_code, result.stdout) == (0, "√ every check passes\n\nnothing to repair\n")


def test_a_plan_as_json(looks: Looks) -> None:
    looks.let(found(healthy=False, repairs=(PATCH, PATCH), left_alone=(HELD,)))
    result = run("plan", "-o", "json")
    change = {"repair": "clusterNetworks", "what": "ConfigMap c: networks", "diff": DIFF}
    assert result.exit_code == 3
    assert json.loads(result.stdout) == {
        "healthy": False,
        "failing": [
            {"description": "the networks", "error": "they [lack] the Services", "repairs": [], "advice": ""},
        ],
        "warnings": [],
        "changes": [change, change],
        "outdated": [],
        "left_alone": [
            {"object": "Role linkerd/r", "manager": "kubectl-edit", "path": ".rules"},
            {"object": "Role linkerd/r", "manager": "flux", "path": ".labels"},
        ],
    }


def test_the_ranges_are_the_clusters_own_where_only_a_kubeconfig_is_given(looks: Looks) -> None:
    looks.kube.put("/api/v1/nodes/a", {"spec": {"podCIDRs": ["10.9.0.0/24"]}})
    looks.let(found(healthy=True))
    assert run("plan").exit_code == 0
    assert looks.ranges == [ObservedRanges(("10.9.0.0/24",), ())]


def test_the_ranges_are_gkes_where_the_cluster_is_named(looks: Looks, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = autopilot(pod_ranges=("10.200.0.0/14",))
    monkeypatch.setattr(gke, "gke", lambda: MemoryGke(cluster))
    monkeypatch.setattr(kube, "default_token", lambda: None)
    monkeypatch.setattr(kube, "connect", lambda _access, _token, **_: looks.kube)
    looks.let(found(healthy=True))
    result = CliRunner().invoke(app, ["plan", "--cluster", str(EU1)])
    assert (result.exit_code, looks.ranges) == (0, [cluster])


@pytest.mark.parametrize("command", ["plan", "repair"])
def test_faults_end_in_a_sentence(command: str, looks: Looks, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: object) -> Mending:
        raise Temporary("Unavailable", "it is cut")

    monkeypatch.setattr(mending, "find", cut)
    result = run(command)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "error: Unavailable: it is cut\n")
    assert "there is no profile for the mesh 'none'" in run(command, "--mesh", "none").stderr
    without = CliRunner().invoke(app, [command])
    assert (without.exit_code, without.stdout) == (1, "")
    assert "give either --kubeconfig or --cluster" in without.stderr
    assert looks.written == []


# The repair -----------------------------------------------------------------------------------------------------------


def test_a_repair_writes_and_looks_again(looks: Looks) -> None:
    broken, mended = found(healthy=False, repairs=(PATCH,)), found(healthy=True)
    looks.let(broken, mended)
    result = run("repair")
    assert (result.exit_code, looks.written) == (0, [broken])
    assert result.stdout.splitlines()[1:] == [
        "clusterNetworks: ConfigMap c: networks",
        *DIFF[2:],
        "",
        "1 repair written",
        "√ every check passes",
    ]


def test_what_is_put_back_with_a_fault_is_repaired_in_a_second_round_and_no_third(looks: Looks) -> None:
    broken = found(healthy=False, repairs=(PATCH,))
    looks.let(broken, broken, broken)
    result = run("repair")
    assert (result.exit_code, looks.written) == (1, [broken, broken])
    assert "2 repairs written" in result.stdout
    assert result.stdout.endswith(f"{CROSS} the networks\n    they [lack] the Services\n")


def test_a_repair_as_json_tells_the_state_afterwards(looks: Looks) -> None:
    looks.let(found(healthy=False, repairs=(PATCH,)), found(healthy=True, left_alone=(HELD,)))
    result = run("repair", "-o", "json")
    report = json.loads(result.stdout)
    assert (result.exit_code, report["healthy"], report["failing"]) == (0, True, [])
    assert [one["diff"] for one in report["changes"]] == [DIFF]
    assert len(report["left_alone"]) == 2


@pytest.mark.parametrize("healthy", [True, False])
def test_where_nothing_is_written_nothing_is_waited_for(
    looks: Looks, monkeypatch: pytest.MonkeyPatch, healthy: bool
) -> None:
    monkeypatch.setattr(readiness, "look", lambda _kube, _profile: "Deployment d, which isn't there")
    looks.let(found(healthy=healthy))
    result = run("repair")
    assert (result.exit_code, looks.written, looks.slept) == (0 if healthy else 1, [], 0.0)
    assert "nothing to repair" in result.stdout


def test_pods_are_waited_for_and_no_longer_than_is_said(looks: Looks, monkeypatch: pytest.MonkeyPatch) -> None:
    def ready_after(seconds: float) -> Callable[..., str]:
        return lambda _kube, _profile: "" if looks.slept >= seconds else "Deployment d (0 of 1 pods ready)"

    monkeypatch.setattr(readiness, "look", ready_after(1.0))
    looks.let(found(healthy=False, repairs=(PATCH,)), found(healthy=True))
    assert run("repair").exit_code == 0
    assert looks.slept == pytest.approx(1.0, abs=0.2)
    monkeypatch.setattr(readiness, "look", ready_after(10_000))
    looks.slept = 0.0
    looks.let(found(healthy=False, repairs=(PATCH,)), found(healthy=False))
    assert run("repair", "--timeout", "5").exit_code == 1
    assert looks.slept == pytest.approx(5.0, abs=0.2)


# Outdated workloads ---------------------------------------------------------------------------------------------------

WORKLOAD = Workload("Deployment", "shop", "web", ("version", "clusterNetworks"))


def outdated(count: int = 1) -> Mending:
    return msgspec.structs.replace(
        found(healthy=True),
        seen=msgspec.structs.replace(found(healthy=True).seen, stale=Stale(workloads=(WORKLOAD,) * count, key="k")),
    )


def test_a_plan_names_outdated_workloads_and_the_value_that_an_owner_must_set(looks: Looks) -> None:
    made = Remember(
        release=cast("Any", SimpleNamespace()), present=None, wished="10.0.0.0/8,fd00::/8", secret={}, before={}
    )
    looks.let(msgspec.structs.replace(outdated(22), remember=(made,)), outdated())
    lines = run("plan").stdout.splitlines()
    assert lines[1] == (
        '`helm upgrade --reuse-values` keeps this; other values need --set clusterNetworks="10.0.0.0/8\\,fd00::/8"'
    )
    assert lines[2] == "outdated: Deployment shop/web (version, clusterNetworks)"
    assert lines[22:24] == ["outdated: 2 more", "byomesh repair --restart-workloads restarts those that a rollout can"]
    assert json.loads(run("plan", "-o", "json").stdout)["outdated"] == ["Deployment shop/web"]


class Rollouts:
    """Answers each look at the restarts with the next state of the one workload."""

    def __init__(self, looks: Looks, monkeypatch: pytest.MonkeyPatch, *states: State) -> None:
        self.started: list[tuple[Target, ...]] = []
        self.injector = ""
        self._states = list(states)
        monkeypatch.setattr(injecting, "stale", lambda _kube, _profile: Stale(workloads=(WORKLOAD,), key="k"))
        monkeypatch.setattr(injecting, "injected", lambda *_: self.injector)
        monkeypatch.setattr(shared_restarting, "look", self._look)
        monkeypatch.setattr(shared_restarting, "start", lambda _kube, those, _key, _now: self.started.append(those))
        clock = SimpleNamespace(monotonic=lambda: looks.slept, sleep=looks._sleep)
        monkeypatch.setattr(restarting, "time", clock)

    def _look(self, *_: object) -> Progress:
        state = self._states.pop(0) if len(self._states) > 1 else self._states[0]
        return Progress(states=((Target("shop", "Deployment", "web"), state),))


def test_outdated_workloads_are_restarted_where_that_is_asked_for(
    looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollouts = Rollouts(looks, monkeypatch, State.TO_DO, State.RUNNING, State.GONE)
    looks.let(outdated(), found(healthy=True))
    result = run("repair", "--restart-workloads")
    assert (result.exit_code, len(rollouts.started)) == (0, 1)
    assert result.stdout.splitlines() == ["", "nothing to repair", "√ every check passes"]
    looks.let(outdated())
    assert run("repair").exit_code == 0
    assert len(rollouts.started) == 1


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (State.STUCK, "restarted, and doesn't get ready"),
        (State.BY_HAND, "no rollout restarts it"),
        (State.SPENT, "restarted, and outdated all the same"),
    ],
)
def test_what_is_not_restarted_is_said(looks: Looks, monkeypatch: pytest.MonkeyPatch, state: State, words: str) -> None:
    Rollouts(looks, monkeypatch, state)
    looks.let(found(healthy=True), found(healthy=True), found(healthy=True), found(healthy=True))
    assert f"{words}: Deployment shop/web" in run("repair", "--restart-workloads").stdout
    told = json.loads(run("repair", "--restart-workloads", "-o", "json").stdout)
    assert told["not_restarted"] == {words: ["Deployment shop/web"]}


def test_an_injector_that_gives_what_was_is_waited_for_and_no_longer_than_is_said(
    looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollouts = Rollouts(looks, monkeypatch, State.TO_DO)
    rollouts.injector = "the injector still gives other trust anchors"
    looks.let(found(healthy=True), found(healthy=True))
    result = run("repair", "--restart-workloads", "--timeout", "5")
    assert "not restarted: Deployment shop/web" in result.stdout
    assert rollouts.started == []
    assert looks.slept == pytest.approx(5.0, abs=0.6)


# Diffs ----------------------------------------------------------------------------------------------------------------


def test_a_text_of_several_lines_differs_by_its_line() -> None:
    before, after = ({"data": {"values": f"a: 1\nb: {b}\nc: 3\nd: 4\n"}} for b in (2, 9))
    lines = repair.diff_of(Change("", before, after))
    assert lines[3:] == ["     a: 1", "-    b: 2", "+    b: 9", "     c: 3"]


def test_a_missing_object_is_added_whole() -> None:
    assert repair.diff_of(Change("", {}, {"data": {"a": "1"}, "kind": "C"})) == [
        "--- live",
        "+++ repaired",
        "@@ -0,0 +1,3 @@",
        "+data:",
        "+  a: '1'",
        "+kind: C",
    ]


def test_long_lines_are_not_folded_and_equal_states_have_no_diff() -> None:
    long = " ".join(["10.0.0.0/8"] * 100)
    assert f"+  a: {long}" in repair.diff_of(Change("", {}, {"data": {"a": long}}))
    assert repair.diff_of(Change("", {"a": 1}, {"a": 1})) == []
