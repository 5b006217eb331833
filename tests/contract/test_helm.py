"""The door to Helm: the real program, against a real API server and against one that never answers."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import hashlib
import http.server
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from byomesh.local.build import Binaries
from byomesh.local.kubernetes import ControlPlane
from shared.cluster import ControlPlaneAccess
from shared.config import Settings
from shared.errors import ByomeshError
from shared.helm import ChartInvalid, Helm, HelmFailed, HelmTimeout, OwnedByOthers, RevisionMissing, kubeconfig
from shared.helm import process as helm_process
from shared.kube import Kube, from_kubeconfig
from shared.kube_errors import FieldConflict, NotFound, Unavailable
from tests.contract.https_server import Answer, Cut, HttpsServer, Request, https_server

NAMESPACE = "helm-door"
SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
SECRET = "hush-hush-hush"
TEMPLATE = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
data:
  word: {{ required "say the word" .Values.word | quote }}
  other: x
"""


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: tiny\nversion: 1.2.3\n")
    (folder / "templates" / "all.yaml").write_text(TEMPLATE)
    return folder


@pytest.fixture
def settings(binaries: Binaries) -> Settings:
    return Settings(helm=str(binaries.helm), helm_timeout=60)


@pytest.fixture(scope="module")
async def cluster(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """The kubeconfig of a cluster with an empty namespace."""
    path = tmp_path_factory.mktemp("helm-door") / "kubeconfig"
    path.write_text(control_plane.admin_kubeconfig())
    with from_kubeconfig(path) as kube:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        await asyncio.to_thread(kube.create, "/api/v1/namespaces", namespace)
        yield path
        await asyncio.to_thread(kube.delete, f"/api/v1/namespaces/{NAMESPACE}")


def config_map(name: str) -> str:
    return f"/api/v1/namespaces/{NAMESPACE}/configmaps/{name}"


def data(kube: Kube, name: str) -> dict[str, str]:
    found = kube.get(config_map(name))
    assert found is not None
    held: dict[str, str] = found["data"]
    return held


def records(kube: Kube, release: str) -> dict[int, str]:
    """Statuses of a release's revisions."""
    found = kube.list_items(SECRETS, label_selector=f"owner=helm,name={release}")
    return {int(one["metadata"]["labels"]["version"]): one["metadata"]["labels"]["status"] for one in found}


def set_status(kube: Kube, release: str, status: str) -> None:
    """Make the only revision of a release say another status, such as a killed Helm leaves."""
    path = f"{SECRETS}/sh.helm.release.v1.{release}.v1"
    record = kube.get(path)
    assert record is not None
    stored = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(record["data"]["release"]))))
    stored["info"]["status"] = status
    packed = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(stored).encode()))).decode()
    kube.patch(path, {"metadata": {"labels": {"status": status}}, "data": {"release": packed}})


async def test_a_release_is_installed_and_upgraded(settings: Settings, cluster: Path, chart: Path) -> None:
    def story() -> None:
        helm = Helm(settings, cluster)
        with from_kubeconfig(cluster) as kube:
            dry = helm.upgrade_install("one", chart, NAMESPACE, {"word": "dry"}, dry_run=True)
            assert 'word: "dry"' in dry.manifest
            assert kube.get(config_map("one")) is None
            first = helm.upgrade_install("one", chart, NAMESPACE, {"word": "first", "extra": 1})
            second = helm.upgrade_install("one", chart, NAMESPACE, {"word": "second"})
            found = kube.get(config_map("one"))
        assert (first.name, first.namespace, first.revision, first.status) == ("one", NAMESPACE, 1, "deployed")
        assert (second.chart, second.version, second.revision) == ("tiny", "1.2.3", 2)
        assert found is not None
        assert found["data"]["word"] == "second"

    await asyncio.to_thread(story)


async def test_conflicts_name_their_manager_until_forced(settings: Settings, cluster: Path, chart: Path) -> None:
    def story() -> None:
        helm = Helm(settings, cluster)
        helm.upgrade_install("two", chart, NAMESPACE, {"word": "ours"})
        with from_kubeconfig(cluster) as kube:
            theirs = {"data": {"word": "theirs", "other": "theirs"}}
            kube.patch(config_map("two"), theirs, field_manager="kubectl-patch")
            with pytest.raises(FieldConflict) as raised:
                helm.upgrade_install("two", chart, NAMESPACE, {"word": "ours"})
            assert raised.value.managers == (("kubectl-patch", ".data.other"), ("kubectl-patch", ".data.word"))
            helm.upgrade_install("two", chart, NAMESPACE, {"word": "ours"}, force_conflicts=True)
            found = kube.get(config_map("two"))
        assert found is not None
        assert found["data"] == {"word": "ours", "other": "x"}

    await asyncio.to_thread(story)


async def test_objects_of_others_are_taken_only_on_demand(settings: Settings, cluster: Path, chart: Path) -> None:
    def story() -> None:
        helm = Helm(settings, cluster)
        with from_kubeconfig(cluster) as kube:
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "three"}}
            kube.create(f"/api/v1/namespaces/{NAMESPACE}/configmaps", body)
        with pytest.raises(OwnedByOthers, match="three"):
            helm.upgrade_install("three", chart, NAMESPACE, {"word": "w"})
        assert helm.upgrade_install("three", chart, NAMESPACE, {"word": "w"}, take_ownership=True).status == "deployed"

    await asyncio.to_thread(story)


async def test_a_release_is_rolled_back_to_an_earlier_revision(settings: Settings, cluster: Path, chart: Path) -> None:
    def story() -> None:
        helm = Helm(settings, cluster)
        for word in ("first", "second"):
            helm.upgrade_install("six", chart, NAMESPACE, {"word": word})
        with from_kubeconfig(cluster) as kube:
            helm.rollback("six", 1, namespace=NAMESPACE)
            assert data(kube, "six")["word"] == "first"
            kube.patch(config_map("six"), {"data": {"word": "theirs"}}, field_manager="kubectl-patch")
            with pytest.raises(FieldConflict) as raised:
                helm.rollback("six", 2, namespace=NAMESPACE)
            assert raised.value.managers == (("kubectl-patch", ".data.word"),)
            helm.rollback("six", 2, namespace=NAMESPACE, force_conflicts=True)
            assert data(kube, "six")["word"] == "second"
        with pytest.raises(RevisionMissing, match="release has no 99 version"):
            helm.rollback("six", 99, namespace=NAMESPACE)
        with pytest.raises(RevisionMissing, match="release: not found"):
            helm.rollback("nowhere", 1, namespace=NAMESPACE)

    await asyncio.to_thread(story)


async def test_a_release_is_removed_once_and_what_was_taken_over_stays(
    settings: Settings, cluster: Path, chart: Path
) -> None:
    def story() -> None:
        helm = Helm(settings, cluster)
        with from_kubeconfig(cluster) as kube:
            helm.upgrade_install("seven", chart, NAMESPACE, {"word": "w"})
            helm.uninstall("seven", namespace=NAMESPACE)
            assert (kube.get(config_map("seven")), records(kube, "seven")) == (None, {})
            helm.uninstall("seven", namespace=NAMESPACE)
            helm.upgrade_install("seven", chart, NAMESPACE, {"word": "w"})
            helm.uninstall("seven", namespace=NAMESPACE, keep_history=True)
            assert (kube.get(config_map("seven")), list(records(kube, "seven").values())) == (None, ["uninstalled"])
            helm.rollback("seven", 1, namespace=NAMESPACE)
            others = {"metadata": {"annotations": {"meta.helm.sh/release-name": "another"}}}
            kube.patch(config_map("seven"), others)
            helm.uninstall("seven", namespace=NAMESPACE)
            assert (kube.delete(config_map("seven")), records(kube, "seven")) == (True, {})

    await asyncio.to_thread(story)


@pytest.mark.parametrize("status", ["pending-install", "pending-upgrade", "uninstalling", "failed", "uninstalled"])
async def test_a_release_left_half_done_is_removed_like_any_other(
    settings: Settings, cluster: Path, chart: Path, status: str
) -> None:
    def story() -> None:
        helm = Helm(settings, cluster)
        with from_kubeconfig(cluster) as kube:
            helm.upgrade_install("eight", chart, NAMESPACE, {"word": "w"})
            set_status(kube, "eight", status)
            assert records(kube, "eight") == {1: status}
            helm.uninstall("eight", namespace=NAMESPACE)
            assert records(kube, "eight") == {}
            # Helm believes an uninstalled release, and looks for nothing of it.
            assert kube.delete(config_map("eight")) is (status == "uninstalled")

    await asyncio.to_thread(story)


async def test_a_missing_namespace_and_a_bad_chart_have_their_words(
    settings: Settings, cluster: Path, chart: Path
) -> None:
    def story() -> None:
        helm = Helm(settings, cluster, cluster="projects/p")
        with pytest.raises((NotFound, Unavailable), match='namespaces "absent" not found'):
            helm.upgrade_install("four", chart, "absent", {"word": "w"})
        with pytest.raises(ChartInvalid, match="say the word") as raised:
            helm.upgrade_install("four", chart, NAMESPACE, {})
        assert raised.value.cluster == "projects/p"

    await asyncio.to_thread(story)


async def test_a_field_that_a_kind_does_not_have_is_refused(settings: Settings, cluster: Path, chart: Path) -> None:
    (chart / "templates" / "pod.yaml").write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: five}\nspec: {containers: [{name: c, image: i, imagine: x}]}\n"
    )

    def story() -> None:
        with pytest.raises(ByomeshError, match="imagine"):
            Helm(settings, cluster).upgrade_install("five", chart, NAMESPACE, {"word": "w"})

    await asyncio.to_thread(story)


def sleeping_parent(settings: Settings, endpoint: str, ca_pem: str, chart: str) -> None:
    """What the process does that is killed: one Helm run, from a thread as under gunicorn."""
    access = ControlPlaneAccess(endpoint=endpoint, ca_pem=ca_pem)
    helm = Helm(settings, lambda: kubeconfig(access, SECRET))
    values = {"word": "w", "keyPEM": SECRET}
    with contextlib.suppress(HelmTimeout):
        thread = threading.Thread(target=helm.upgrade_install, args=("slow", Path(chart), NAMESPACE, values))
        thread.start()
        thread.join()


@contextlib.contextmanager
def silent_server() -> Iterator[tuple[HttpsServer, threading.Event]]:
    """An API server that accepts and never answers; the event is set at the first request."""
    asked, released = threading.Event(), threading.Event()

    def hang(_: Request) -> Answer:
        asked.set()
        released.wait(60)
        return Cut()

    with https_server(hang) as server:
        try:
            yield server, asked
        finally:
            released.set()


def helms(parent: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(parent).children() if "helm" in child.name()]


def gone(process: psutil.Process, seconds: float = 20.0) -> bool:
    _, alive = psutil.wait_procs([process], timeout=seconds)
    return not alive or process.status() == psutil.STATUS_ZOMBIE


def test_helm_dies_with_its_parent_and_shows_no_secret(
    settings: Settings, chart: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A killed parent leaves Helm's work folder behind.
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with silent_server() as (server, asked):
        context = multiprocessing.get_context("spawn")
        arguments = (settings, server.endpoint, server.ca_pem, str(chart))
        parent = context.Process(target=sleeping_parent, args=arguments)
        parent.start()
        assert parent.pid is not None
        try:
            assert asked.wait(30), "Helm never asked the API server"
            (helm,) = helms(parent.pid)
            command_line = Path(f"/proc/{helm.pid}/cmdline").read_bytes()
            environment = Path(f"/proc/{helm.pid}/environ").read_bytes()
            os.kill(parent.pid, signal.SIGKILL)
            parent.join(10)
            assert gone(helm)
        finally:
            if parent.is_alive():
                parent.kill()
                parent.join()
    assert b"upgrade" in command_line
    assert SECRET.encode() not in command_line
    assert SECRET.encode() not in environment
    assert b"KUBE_TOKEN" not in environment
    assert server.requests[0].headers["authorization"] == f"Bearer {SECRET}"
    left = [path for path in tmp_path.rglob("*") if path.is_file() and chart not in path.parents]
    assert not any(SECRET.encode() in path.read_bytes() for path in left)


def test_a_file_in_memory_is_its_owners_alone() -> None:
    with helm_process.in_memory(b"data") as descriptor:
        path = Path(f"/proc/self/fd/{descriptor}")
        assert (path.read_bytes(), path.read_bytes(), path.stat().st_mode & 0o777) == (b"data", b"data", 0o600)
    assert not path.exists()


def test_a_deadline_ends_helm(settings: Settings, chart: Path) -> None:
    short = Settings(helm=settings.helm, helm_timeout=1)
    with silent_server() as (server, _):
        access = ControlPlaneAccess(endpoint=server.endpoint, ca_pem=server.ca_pem)
        helm = Helm(short, lambda: kubeconfig(access, SECRET), cluster="projects/p")
        begun = time.monotonic()
        with pytest.raises(HelmTimeout, match="hadn't ended after 1 s") as raised:
            helm.upgrade_install("slow", chart, NAMESPACE, {"word": "w"})
    assert time.monotonic() - begun < 20
    assert raised.value.cluster == "projects/p"
    assert helms(os.getpid()) == []


STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"


def stubborn_ones() -> list[int]:
    return [child.pid for child in psutil.Process().children() if STUBBORN in child.cmdline()]


def test_a_program_that_ignores_the_asking_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helm_process, "_GRACE", 0.2)
    with pytest.raises(HelmTimeout):
        helm_process.run([sys.executable, "-c", STUBBORN], environment={}, deadline=1.0)
    assert stubborn_ones() == []


def test_what_ends_the_waiting_ends_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        helm_process.run([sys.executable, "-c", STUBBORN], environment={}, deadline=30)
    assert stubborn_ones() == []


def test_a_launcher_whose_parent_died_first_starts_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "started"
    launcher = [sys.executable, "-I", "-S", "-c", helm_process._LAUNCHER, "1", "touch", str(marker)]
    found = subprocess.run(launcher, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (1, "the parent died first\n")
    assert not marker.exists()


def test_a_program_ended_by_a_signal_is_told(chart: Path, tmp_path: Path) -> None:
    program = tmp_path / "helm"
    program.write_text("#!/bin/sh\nkill -KILL $$\n")
    program.chmod(0o755)
    with pytest.raises(HelmFailed, match="ended by signal 9"):
        Helm(Settings(helm=str(program))).template(chart, {}, "a", "b")


def test_a_chart_is_rendered_without_a_cluster(settings: Settings, chart: Path) -> None:
    helm = Helm(settings)
    assert 'word: "there"' in helm.template(chart, {"word": "there"}, "ns", "name")
    (chart / "Chart.yaml").write_text('apiVersion: v2\nname: tiny\nversion: 1.2.3\nkubeVersion: ">=1.99"\n')
    with pytest.raises(ChartInvalid, match="kubeVersion"):
        helm.template(chart, {"word": "there"}, "ns", "name")
    assert "word" in helm.template(chart, {"word": "there"}, "ns", "name", kube_version="1.99.0")


@pytest.fixture
def repository(settings: Settings, chart: Path, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A Helm repository on loopback with the chart: its URL, and the archive's sha256."""
    folder = tmp_path / "repository"
    folder.mkdir()
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    package = [settings.helm, "package", str(chart), "--destination", str(folder)]
    subprocess.run(package, check=True, capture_output=True, env=environment)
    subprocess.run([settings.helm, "repo", "index", str(folder)], check=True, capture_output=True, env=environment)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's name)
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        digest = hashlib.sha256((folder / "tiny-1.2.3.tgz").read_bytes()).hexdigest()
        yield f"http://127.0.0.1:{server.server_address[1]}", digest
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("prefix", ["", "sha256:"])
def test_a_chart_is_fetched_and_held_against_its_digest(
    settings: Settings, repository: tuple[str, str], tmp_path: Path, prefix: str
) -> None:
    url, digest = repository
    into = tmp_path / "into"
    into.mkdir()
    archive = Helm(settings).pull("tiny", "1.2.3", url, f"{prefix}{digest}", into)
    assert archive == into / "tiny-1.2.3.tgz"
    assert Helm(settings).pull("tiny", "1.2.3", url, "", into).is_file()


def test_another_digest_is_not_kept(settings: Settings, repository: tuple[str, str], tmp_path: Path) -> None:
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(ChartInvalid, match=repository[1]) as raised:
        Helm(settings).pull("tiny", "1.2.3", repository[0], "0" * 64, into)
    assert raised.value.reason == "ChartDigestMismatch"
    assert list(into.iterdir()) == []


def test_a_chart_that_is_not_there(settings: Settings, repository: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(ChartInvalid, match="not found in"):
        Helm(settings).pull("tiny", "9.9.9", repository[0], "", tmp_path)
    with pytest.raises(HelmFailed, match="cannot be reached") as raised:
        Helm(settings).pull("tiny", "1.2.3", "http://127.0.0.1:9/", "", tmp_path)
    assert raised.value.reason == "ChartUnavailable"


def test_a_range_of_versions_is_no_version(settings: Settings, repository: tuple[str, str], tmp_path: Path) -> None:
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(ChartInvalid, match=r"fetched tiny-1\.2\.3\.tgz in place of tiny-1\.tgz"):
        Helm(settings).pull("tiny", "1", repository[0], "", into)


def test_a_registry_is_asked_by_reference(chart: Path, tmp_path: Path) -> None:
    program = tmp_path / "helm"
    program.write_text('#!/bin/sh\necho "$@" > "$(dirname "$0")/arguments"\n')
    program.chmod(0o755)
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(ChartInvalid, match="fetched nothing in place of tiny"):
        Helm(Settings(helm=str(program))).pull("tiny", "1.2.3", "oci://registry.example.com/charts/", "", into)
    arguments = (tmp_path / "arguments").read_text().split()
    assert arguments[:4] == ["pull", "oci://registry.example.com/charts/tiny", "--version", "1.2.3"]
    assert chart.is_dir()


def test_a_functions_environment_is_not_passed_on(tmp_path: Path, chart: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "helm"
    program.write_text(f"#!/bin/sh\n{sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'\n")
    program.chmod(0o755)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/key.json")
    monkeypatch.setenv("HELM_KUBETOKEN", "t")
    found = json.loads(Helm(Settings(helm=str(program))).template(chart, {}, "a", "b"))
    assert "GOOGLE_APPLICATION_CREDENTIALS" not in found
    operators = json.loads(Helm(Settings(helm=str(program)), tmp_path / "config").template(chart, {}, "a", "b"))
    assert operators["GOOGLE_APPLICATION_CREDENTIALS"] == "/key.json"
    for environment in (found, operators):
        assert "HELM_KUBETOKEN" not in environment
        assert not Path(environment["HELM_CACHE_HOME"]).exists()
