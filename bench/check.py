"""`byomesh check` on a large cluster: processor time, requests and memory, beside a small one and the mesh's CLI."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from bench import by_hand, crowd
from bench.check_once import VERSION
from bench.cloud import Say
from bench.figures import BenchError, Breakdown, Comparison, Report
from byomesh.local.build import Binaries, ensure_binaries
from byomesh.local.gateway_api import definitions
from byomesh.local.kubernetes import ControlPlane
from byomesh.local.kubernetes.settings import ClusterSettings
from shared.mesh.profile import load_profile

SMALL, LARGE, SERVICES = 500, 5_000, 1_000
ALLOWED_REQUESTS = 60
_FROZEN = ("kube-controller-manager", "kube-scheduler", "kwok")
_SECONDS = 600.0
_NETWORKS = "10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fd00::/8,34.118.224.0/20"
Figures = Mapping[str, float]


def measure(charts: Path, rounds: int, say: Say) -> Report:
    """Fill one cluster with 500 pods, then 5,000, with 1,000 Services from the start, and check it each time.

    Raises:
        BenchError: the cluster couldn't be filled, or a check didn't run.
    """
    return asyncio.run(_measured(charts, rounds, say))


async def _measured(charts: Path, rounds: int, say: Say) -> Report:
    with tempfile.TemporaryDirectory(prefix="byomesh-bench-") as name:
        folder = Path(name)
        binaries = ensure_binaries()
        settings = ClusterSettings(services_cidr="34.118.224.0/20")
        async with ControlPlane("bench", folder / "cluster", binaries, settings) as plane:
            await plane.add_node("gke-bench-0001")
            kubeconfig = folder / "kubeconfig"
            kubeconfig.touch(mode=0o600)
            kubeconfig.write_text(plane.admin_kubeconfig(), encoding="utf-8")
            say("check: a mesh")
            await _prepared(plane, binaries, charts, kubeconfig)
            with _frozen(plane):
                say(f"check: {SMALL} pods, {SERVICES} Services")
                await _fill(plane, range(SMALL), range(SERVICES))
                small = [await asyncio.to_thread(ours, kubeconfig, proxy) for proxy in _asked(rounds)]
                say(f"check: {LARGE} pods")
                await _fill(plane, range(SMALL, LARGE), range(0))
                say(f"check: {rounds} rounds")
                large, theirs = await asyncio.to_thread(_rounds, kubeconfig, rounds)
    return report(small, large, theirs)


def _asked(rounds: int) -> list[bool]:
    """Whether --proxy is asked for, by run."""
    return [proxy for _ in range(rounds) for proxy in (False, True)]


def _rounds(kubeconfig: Path, rounds: int) -> tuple[list[Figures], list[float]]:
    cli = linkerd()
    large: list[Figures] = []
    theirs: list[float] = []
    for proxy in _asked(rounds):
        large.append(ours(kubeconfig, proxy))
        if cli is not None:
            theirs.append(their_cpu(cli, kubeconfig, proxy))
    return large, theirs


def report(small: Sequence[Figures], large: Sequence[Figures], theirs: Sequence[float]) -> Report:
    """What the runs come to; each list has a run without and one with --proxy for every round."""
    comparisons: list[Comparison] = []
    for at, command in enumerate(("check", "check --proxy")):
        few, many = small[at::2], large[at::2]
        cpu = f"processor time of {command} beyond start-up and imports, {LARGE} pods and {SERVICES} Services"
        if theirs:
            comparisons.append(_compared(cpu, "the mesh's CLI", "s", _each(many, "cpu"), theirs[at::2], 1.0))
        against = f"{SMALL} pods"
        comparisons.append(_compared(cpu, against, "s", _each(many, "cpu"), _each(few, "cpu"), None))
        memory = f"memory of {command}"
        comparisons.append(_compared(memory, against, "MiB", _each(many, "memory"), _each(few, "memory"), 1.0))
    parts = {
        f"{command}, {pods} pods": float(runs[at]["requests"])
        for at, command in enumerate(("check", "check --proxy"))
        for pods, runs in ((SMALL, small), (LARGE, large))
    }
    requests = Breakdown(what=f"requests ({ALLOWED_REQUESTS} allowed)", unit="requests", parts=parts)
    return Report(tuple(comparisons), (requests,))


def _each(runs: Sequence[Figures], name: str) -> list[float]:
    return [run[name] for run in runs]


def _compared(
    what: str, against: str, unit: str, mine: Sequence[float], theirs: Sequence[float], goal: float | None
) -> Comparison:
    return Comparison(what=what, against=against, unit=unit, ours=tuple(mine), theirs=tuple(theirs), goal=goal)


def ours(kubeconfig: Path, proxy: bool) -> Figures:
    """The figures of one check of ours, in a process of its own.

    Raises:
        BenchError: it failed.
    """
    command = [sys.executable, "-m", "bench.check_once", str(kubeconfig), *(["--proxy"] if proxy else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    if done.returncode:
        raise BenchError(f"byomesh check failed: {done.stderr[-500:]}")
    figures: Figures = json.loads(done.stdout)
    return figures


def linkerd() -> str | None:
    """The mesh's own CLI: `BYOMESH_BENCH_LINKERD`, else `linkerd` on PATH; None where there is none."""
    return os.environ.get("BYOMESH_BENCH_LINKERD") or shutil.which("linkerd")


def their_cpu(cli: str, kubeconfig: Path, proxy: bool) -> float:
    """Processor seconds of the CLI's check beyond those of its start (`version --client`)."""
    check = ["check", "--output", "json", "--wait", "0s", "--expected-version", VERSION]
    options = ["--kubeconfig", str(kubeconfig)]
    whole = _cpu([cli, *check, *options, *(["--proxy"] if proxy else [])])
    return max(whole - _cpu([cli, "version", "--client"]), 0.001)


def _cpu(command: list[str]) -> float:
    """Processor seconds of a program and its own children, from start to end."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


async def _fill(plane: ControlPlane, pods: range, services: range) -> None:
    async with plane.client() as session:
        await crowd.fill(session, pods, services, _NETWORKS, VERSION)


@contextlib.contextmanager
def _frozen(plane: ControlPlane) -> Iterator[None]:
    """Nobody changes what was written: the controllers would delete pods whose ReplicaSets aren't there."""
    processes = [psutil.Process(plane.pids[name]) for name in _FROZEN]
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


async def _prepared(plane: ControlPlane, binaries: Binaries, charts: Path, kubeconfig: Path) -> None:
    """The Gateway API's CRDs, the namespaces with their accounts, and the mesh, ready."""
    profile = load_profile("linkerd")
    async with plane.client() as session:
        for definition in definitions():
            async with session.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", json=definition):
                pass
        for number in range(crowd.NAMESPACES):
            async with session.post("/api/v1/namespaces", json={"metadata": {"name": crowd.namespace(number)}}):
                pass
        values = by_hand.values_by_release(profile, dt.datetime.now(dt.UTC))
        await asyncio.to_thread(by_hand.install, binaries.helm, profile, charts, values, kubeconfig)
        last = crowd.namespace(crowd.NAMESPACES - 1)
        for _ in range(int(_SECONDS)):
            async with session.get(f"/api/v1/namespaces/{last}/serviceaccounts/default") as response:
                if response.status == 200:  # noqa: PLR2004 - OK
                    return
            await asyncio.sleep(0.1)
    raise BenchError("the namespaces' service accounts weren't made")
