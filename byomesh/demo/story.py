"""The main job, scene by scene; each says what it saw, and only if all saw what they should the demo is a success."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from byomesh.demo.inventory import changes, resource_versions
from byomesh.demo.timeline import Timeline
from byomesh.local.client import Client
from shared import kube
from shared.mesh import admission, extensions
from shared.mesh.linkerd import checks, networks, repairs
from shared.mesh.linkerd.checks import viz as viz_checks
from shared.mesh.observe import observe
from shared.mesh.profile import load_profile
from shared.model import CheckOutcome, CheckReport

PROJECT, LOCATION, NAME = "demo-project", "europe-west1", "autopilot-1"
CLUSTER = f"projects/{PROJECT}/locations/{LOCATION}/clusters/{NAME}"
_OPERATION_SECONDS = 5.0
_NODE_SECONDS = 1.0
_SCENE_SECONDS = 100.0
_RESET_BY = "kubectl-edit"


class SceneError(Exception):
    """A scene didn't see what it should; the message says what it saw."""


@dataclasses.dataclass(frozen=True, slots=True)
class Scene:
    """One row of the final table.

    Attributes:
        title: what was to be seen.
        seen: what was.
        observed: whether that is it.
        seconds: how long the scene took.
    """

    title: str
    seen: str
    observed: bool
    seconds: float


class Story:
    """Plays the scenes on a local cloud that is up, in order, and stops at the first that fails."""

    def __init__(self, client: Client, timeline: Timeline, policy: Path) -> None:
        """Nothing is played yet.

        Args:
            client: the local cloud.
            timeline: where it is told.
            policy: the file of the local cloud's policy, which the story changes.
        """
        self._client = client
        self._timeline = timeline
        self._policy = policy
        self.scenes: list[Scene] = []

    def play(self) -> bool:
        """Play it; returns whether every scene was observed."""
        acts: list[tuple[str, Callable[[], str]]] = [
            ("Warden rejects a NET_ADMIN pod on a new Autopilot cluster", self._rejected),
            ("The creation's audit entries reach enable_net_admin", self._entries),
            ("allow-net-admin is turned on, with nobody's hand", self._allowed),
            ("The install waits for GKE's operation, and is done", self._installed),
            ("Every check passes", self._healthy),
            ("Reset by hand: the services check fails in Linkerd's own words", self._broken),
            ("A rerun message repairs it, and every check passes", self._repaired),
            ("The policy asks for viz: it is installed, and its own checks pass", self._viz),
            ("Emojivoto runs: four deployments are ready, with proxies", self._emojivoto),
            ("One more rerun writes nothing", self._idle),
        ]
        self._create()
        for title, act in acts:
            began = time.monotonic()
            try:
                seen, observed = act(), True
            except SceneError as error:
                seen, observed = str(error), False
            self.scenes.append(Scene(title, seen, observed, time.monotonic() - began))
            self._timeline.say(
                "✔ seen" if observed else "✘ not seen", f"{title}: {seen}", "green" if observed else "red"
            )
            if not observed:
                return False
        return True

    def _create(self) -> None:
        body = {
            "name": NAME,
            "project": PROJECT,
            "location": LOCATION,
            "operation_seconds": _OPERATION_SECONDS,
            "node_seconds": _NODE_SECONDS,
        }
        self._client.call("POST", "/clusters", body)
        self._timeline.say("operator", f"creates the Autopilot cluster {NAME}; from here on nobody touches it", "bold")

    def _rejected(self) -> str:
        self._until(lambda: self._cluster()["status"] != "PROVISIONING", "the cluster to run")
        with self._kube() as api:
            verdict = admission.net_admin_verdict(api)
        if verdict is None or "autogke-default-linux-capabilities" not in verdict.words:
            raise SceneError(f"Warden said {verdict.words if verdict else 'nothing'}")
        return verdict.words.partition("Requested by")[0].strip()

    def _entries(self) -> str:
        def arrived() -> list[dict[str, Any]]:
            events = self._client.call("GET", "/events", query={"function": "enable_net_admin"})["events"]
            return [one for one in events if one["kind"] == "eventarc" and one["error"] is None]

        self._until(lambda: len(arrived()) >= 2, "both entries")  # noqa: PLR2004 - the first and the last
        return f"{len(arrived())} entries, first and last of the operation; only the last acts"

    def _allowed(self) -> str:
        self._until(lambda: self._cluster()["net_admin"], "allow-net-admin")
        with self._kube() as api:
            verdict = admission.net_admin_verdict(api)
        if verdict is not None:
            raise SceneError(f"Warden still says: {verdict.words}")
        return "GKE says allowed, and the same pod passes Warden now (dry run)"

    def _installed(self) -> str:
        self._until(lambda: self._statuses(phase="Verifying") or self._statuses(phase="Ready"), "the installation")
        waits = self._statuses(reason="OperationRunning")
        if not waits:
            raise SceneError("the install never waited for the operation")
        done = (self._statuses(phase="Verifying") or self._statuses(phase="Ready"))[0]
        return f"waited {len(waits)} times without one refused delivery; {done['message']}"

    def _healthy(self) -> str:
        self._until(lambda: self._statuses(phase="Ready"), "Ready")
        report = self._check()
        if not report.healthy:
            raise SceneError(_failures(report))
        return f"{report.count(CheckOutcome.PASS)} checks passed"

    def _broken(self) -> str:
        with self._kube() as api:
            path = "/api/v1/namespaces/linkerd/configmaps/linkerd-config"
            config = api.get(path)
            patch = repairs.config_map_patch(config or {}, networks.DEFAULT_NETWORKS)
            if patch is None:
                raise SceneError("linkerd-config already has the chart's default networks")
            api.patch(path, patch.body, kind=patch.kind, field_manager=_RESET_BY)
        self._timeline.say("somebody", "resets clusterNetworks to the chart's default by hand", "bold")
        failing = [result for _, result in self._check() if result.outcome is CheckOutcome.FAIL]
        expected = f'the Linkerd clusterNetworks ["{networks.DEFAULT_NETWORKS}"] do not include svc '
        if len(failing) != 1 or not failing[0].error.startswith(expected):
            raise SceneError("; ".join(one.error for one in failing) or "every check still passes")
        return failing[0].error

    def _repaired(self) -> str:
        status = self._rerun("mesh-verify")
        repaired = [one for one in self._statuses(request_id=status["request_id"]) if one["repaired"]]
        if not repaired:
            raise SceneError("no status tells of a repair")
        report = self._check()
        if not report.healthy:
            raise SceneError(_failures(report))
        return f"repaired {', '.join(repaired[0]['repaired'])}; {report.count(CheckOutcome.PASS)} checks pass"

    def _viz(self) -> str:
        self._policy.write_text(policy(viz=True, emojivoto=True), encoding="utf-8")
        self._timeline.say("operator", "sets viz: true and emojivoto: true in the policy", "bold")
        status = self._rerun("mesh-install")
        report = self._check()
        viz = [result for category, result in report if category == viz_checks.NAME]
        if not viz or not report.healthy:
            raise SceneError(_failures(report) or "no namespace is labelled as viz's")
        passed = sum(result.outcome is CheckOutcome.PASS for result in viz)
        warned = [result.error for result in viz if result.outcome is CheckOutcome.WARN]
        return "; ".join([status["options"].get("viz", "not there"), f"{passed} checks of viz pass", *warned])

    def _emojivoto(self) -> str:
        profile = load_profile("linkerd")
        with self._kube() as api:
            states = {state.option: state for state in extensions.look(api, profile)}
        found = states.get("emojivoto")
        if found is None or found.waits_for or found.meshed < found.deployments:
            raise SceneError(found.words if found else "its namespace isn't there")
        return found.words

    def _idle(self) -> str:
        with self._kube() as api:
            before = resource_versions(api)
            self._rerun("mesh-install")
            written = changes(before, resource_versions(api))
        if written:
            raise SceneError("; ".join(written))
        return f"{len(before)} objects, every resourceVersion unchanged"

    def _rerun(self, topic: str) -> dict[str, Any]:
        """Publish the smallest request, and return the Ready status that ends everything that follows from it."""
        data = json.dumps({"cluster": CLUSTER, "mesh": "linkerd"})
        request_id = self._client.call("POST", "/publish", {"topic": topic, "data": data})["message_id"]
        self._timeline.say("operator", f"gcloud pubsub topics publish {topic} --message '{data}'", "bold")

        def ended() -> list[dict[str, Any]]:
            return [one for one in self._statuses(request_id=request_id, phase="Ready") if not one["repaired"]]

        self._until(ended, f"the rerun {request_id}")
        return ended()[-1]

    def _check(self) -> CheckReport:
        with self._kube() as api:
            version = next((one["version"] for one in reversed(self._statuses()) if one["version"]), None)
            snapshot, now = observe(api, namespace="linkerd"), dt.datetime.now(dt.UTC)
        report = checks.run(snapshot, now, expected_version=version)
        return checks.with_viz(report, snapshot, now, expected_version=version)

    @contextlib.contextmanager
    def _kube(self) -> Iterator[kube.Kube]:
        answer = self._client.call("GET", "/kubeconfig", query={"cluster": CLUSTER})
        with tempfile.TemporaryDirectory(prefix="byomesh-demo-") as folder:
            file = Path(folder) / "kubeconfig"
            file.touch(mode=0o600)
            file.write_text(answer["kubeconfig"], encoding="utf-8")
            with kube.from_kubeconfig(file) as api:
                yield api

    def _cluster(self) -> dict[str, Any]:
        clusters = self._client.call("GET", "/status")["clusters"]
        return next((one for one in clusters if one["name"] == CLUSTER), {"status": "PROVISIONING", "net_admin": False})

    def _statuses(self, **wanted: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._client.call("GET", "/statuses")["statuses"]
        return [one for one in found if all(one[key] == value for key, value in wanted.items())]

    def _until(self, reached: Callable[[], Any], what: str) -> None:
        deadline = time.monotonic() + _SCENE_SECONDS
        while not reached():
            ended = [one for one in self._statuses() if one["phase"] in ("Refused", "Failed", "Stuck")]
            if ended:
                raise SceneError(f"waiting for {what}: {ended[-1]['phase']}: {ended[-1]['message']}")
            if time.monotonic() > deadline:
                raise SceneError(f"waited {_SCENE_SECONDS:.0f} s for {what}")
            time.sleep(0.1)


def policy(*, viz: bool = False, emojivoto: bool = False) -> str:
    """The demo's policy: the mesh on every cluster, with what is switched on."""
    options = "".join(f"    {name}: true\n" for name, on in (("viz", viz), ("emojivoto", emojivoto)) if on)
    return f"schema: 1\nrules:\n  - name: demo\n    match: {{}}\n    mesh: linkerd\n{options}"


def _failures(report: CheckReport) -> str:
    return "; ".join(f"{one.description}: {one.error}" for _, one in report if one.outcome is CheckOutcome.FAIL)
