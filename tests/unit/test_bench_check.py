"""The benchmark of `byomesh check`: what its runs come to, and what it writes into a cluster."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from bench import check, crowd
from bench.figures import BenchError
from shared.mesh.fold import Current, Folding
from shared.mesh.snapshot import OpaqueFold


def _runs(cpu: float, memory: float, requests: float) -> list[dict[str, float]]:
    plain = {"cpu": cpu, "imports": 1.0, "memory": memory, "requests": requests}
    return [plain, {**plain, "cpu": cpu * 2, "requests": requests + 3}] * 2


def test_runs_are_held_against_the_small_cluster_and_the_cli() -> None:
    found = check.report(_runs(0.1, 100, 34), _runs(0.4, 102, 43), [0.5, 2.0, 0.5, 2.0])
    ratios = {(one.what.partition(",")[0], one.against): round(one.ratio, 2) for one in found.comparisons}
    assert ratios == {
        ("processor time of check beyond start-up and imports", "the mesh's CLI"): 0.8,
        ("processor time of check beyond start-up and imports", "500 pods"): 4.0,
        ("memory of check", "500 pods"): 1.02,
        ("processor time of check --proxy beyond start-up and imports", "the mesh's CLI"): 0.4,
        ("processor time of check --proxy beyond start-up and imports", "500 pods"): 4.0,
        ("memory of check --proxy", "500 pods"): 1.02,
    }
    assert list(found.breakdowns[0].parts.values()) == [34, 43, 37, 46]


def test_without_the_cli_nothing_is_held_against_it() -> None:
    found = check.report(_runs(0.1, 100, 34), _runs(0.4, 102, 43), [])
    assert {one.against for one in found.comparisons} == {"500 pods"}


def test_the_cli_s_start_is_taken_off(tmp_path: Path) -> None:
    program = tmp_path / "linkerd"
    program.write_text(f"#!{sys.executable}\nimport sys\nsum(range(3_000_000)) if 'check' in sys.argv else 0\n")
    program.chmod(0o700)
    assert check.their_cpu(str(program), tmp_path / "kubeconfig", proxy=True) > 0.001


def test_a_check_that_fails_is_no_figure(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="kubeconfig"):
        check.ours(tmp_path / "no-kubeconfig", proxy=False)


def test_the_cli_is_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BYOMESH_BENCH_LINKERD", "/somewhere/linkerd")
    assert check.linkerd() == "/somewhere/linkerd"


def test_the_crowd_is_healthy() -> None:
    folding = Folding(None, current=Current(networks="10.0.0.0/8", version="v"), opaque=True)
    pods = [crowd.pod(number, "10.0.0.0/8", "v") for number in range(1_000)]
    for number, pod in enumerate(pods):
        pod["status"] = crowd.status_of(pod, number)
    services = [crowd.service(number) for number in range(100)]
    for add, items in (
        (folding.add_services, services),
        (folding.add_pods, pods),
        (folding.add_endpoints, [crowd.endpoints(number) for number in range(100)]),
    ):
        for item in items:
            item.setdefault("spec", {}).setdefault("clusterIP", "10.0.0.1")
        add(msgspec.json.encode({"items": items}))
    assert folding.proxies.total == 600
    assert folding.proxies.failing.count == folding.outdated.pods == folding.unrequested.pods == 0
    assert folding.opaque_ports() == OpaqueFold()
    assert len({pod["status"]["podIP"] for pod in pods}) == 1_000
