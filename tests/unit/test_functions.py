"""The entry points: each hands its stage the real doors, made of the settings and the cluster's own facts."""

from __future__ import annotations

import base64
import datetime as dt
import json
from typing import Any, ClassVar

import pytest
from cloudevents.http import CloudEvent

from functions import enable_net_admin, enforce_policy, install_mesh, verify_mesh
from shared import delivery, events, gke
from shared.config import Settings
from shared.errors import Refused
from shared.helm import Helm
from shared.kube import Kube
from shared.mesh.fleet import SecretStore
from shared.model import InstallRequest, Reason, SweepRequest, VerifyRequest
from shared.outcome import Done, Outcome
from shared.policy import BUILT_IN
from shared.secret_manager import SecretVersion
from shared.stages.braking import Brake
from shared.stages.case import Subject
from tests.unit.doors import EU1, NOW, MemoryGke, MemorySecrets, autopilot

SETTINGS = Settings(project="mesh", trust_anchor_secret="projects/mesh/secrets/anchor")
GOOGLE = MemoryGke(autopilot())


class Stage:
    """In place of a stage's `run`: keeps what it is called with."""

    def __init__(self) -> None:
        self.request: Any = None
        self.doors: dict[str, Any] = {}

    def __call__(self, request: Any, **doors: Any) -> Outcome:
        self.request, self.doors = request, doors
        return Done()


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    found = Stage()
    monkeypatch.setattr(delivery, "settings", lambda: SETTINGS)
    for module in (enable_net_admin, install_mesh, verify_mesh, enforce_policy):
        monkeypatch.setattr(module, "settings", lambda: SETTINGS)
        monkeypatch.setattr(module, "gke", lambda: GOOGLE)
    for name in ("enable", "install", "verify", "sweep"):
        monkeypatch.setattr(f"shared.stages.{name}.run", found)
    for module in (install_mesh, verify_mesh, enforce_policy):
        monkeypatch.setattr(module, "_token", lambda: lambda: "a-token")
    return found


def event(body: Any = None) -> CloudEvent:
    told = {"cluster": str(EU1), "mesh": "linkerd"} if body is None else body
    data = base64.b64encode(json.dumps(told).encode()).decode()
    attributes = {"type": events.PUBSUB_TYPE, "source": "s", "time": "2026-05-04T09:00:00Z"}
    return CloudEvent(attributes, {"message": {"data": data, "messageId": "42"}})


def test_enabling_needs_gke_alone(stage: Stage) -> None:
    enable_net_admin.enable_net_admin(event())
    assert isinstance(stage.request, InstallRequest)
    brake = stage.doors.pop("brake")
    assert stage.doors == {"google": GOOGLE, "rules": BUILT_IN, "settings": SETTINGS}
    assert isinstance(brake, Brake)


def test_installing_has_a_connection_helm_and_the_fleets_trust(stage: Stage) -> None:
    install_mesh.install_mesh(event())
    assert isinstance(stage.request, InstallRequest)
    assert stage.doors.keys() == {"google", "connect", "helm_for", "store", "rules", "settings", "clock", "brake"}
    cluster = autopilot(access=gke.ControlPlaneAccess(endpoint="gke-1.europe-west1.gke.goog"))
    assert isinstance(stage.doors["connect"](cluster), Kube)
    helm = stage.doors["helm_for"](cluster)
    assert isinstance(helm, Helm)
    assert callable(helm._access)
    written = json.loads(helm._access())
    assert written["users"][0]["user"] == {"token": "a-token"}
    assert written["clusters"][0]["cluster"] == {"server": "https://gke-1.europe-west1.gke.goog"}
    assert isinstance(stage.doors["store"], SecretStore)


def test_verifying_has_a_connection_and_no_helm(stage: Stage) -> None:
    verify_mesh.verify_mesh(event())
    assert isinstance(stage.request, VerifyRequest)
    assert stage.doors.keys() == {"google", "connect", "rules", "settings", "clock", "brake"}
    assert isinstance(stage.doors["connect"](autopilot()), Kube)


class Look:
    """In place of `Enforcer`: keeps what it is made of and asked."""

    doors: ClassVar[dict[str, Any]] = {}
    subjects: ClassVar[list[Subject]] = []

    def __init__(self, **doors: Any) -> None:
        self.doors.update(doors)

    def look(self, subject: Subject) -> Outcome:
        self.subjects.append(subject)
        return Done()


@pytest.mark.usefixtures("stage")
def test_enforcing_has_the_log_and_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enforce_policy, "Enforcer", Look)
    monkeypatch.setattr(enforce_policy, "cloud_logging", lambda: "the log")
    enforce_policy.enforce_policy(event())
    assert Look.subjects == [Subject(cluster=EU1, reason=Reason.RERUN, request_id="42")]
    assert {name: Look.doors[name] for name in ("google", "log", "rules", "undone_within_a_day", "settings")} == {
        "google": GOOGLE,
        "log": "the log",
        "rules": BUILT_IN,
        "undone_within_a_day": 3,
        "settings": SETTINGS,
    }
    assert isinstance(Look.doors["connect"](autopilot()), Kube)
    assert abs(Look.doors["clock"]() - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)


def test_a_message_without_a_cluster_is_a_sweep(stage: Stage) -> None:
    enforce_policy.enforce_policy(event({}))
    assert isinstance(stage.request, SweepRequest)


@pytest.mark.parametrize("function", [install_mesh.install_mesh, verify_mesh.verify_mesh])
def test_times_have_a_zone_and_no_way_to_a_cluster_is_refused(stage: Stage, function: Any) -> None:
    function(event())
    assert abs(stage.doors["clock"]() - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)
    shut = autopilot(access=gke.ControlPlaneAccess(endpoint="", private_only="it is private"))
    with pytest.raises(Refused, match="it is private") as raised:
        stage.doors["connect"](shut)
    assert raised.value.cluster == str(EU1)


def test_the_fleets_trust_is_the_settings_secret(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    class Secrets(MemorySecrets):
        def create_first(self, secret: str, payload: bytes) -> SecretVersion:
            asked.append(secret)
            return super().create_first(secret, payload)

    asked: list[str] = []
    kept = Secrets()
    monkeypatch.setattr("shared.secret_manager.secrets", lambda: kept)
    install_mesh.install_mesh(event())
    trusted = stage.doors["store"].trust(NOW)
    assert asked == ["projects/mesh/secrets/anchor"]
    install_mesh.install_mesh(event())
    assert stage.doors["store"].trust(NOW) == trusted
    assert len(asked) == 1
