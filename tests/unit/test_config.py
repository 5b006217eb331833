from __future__ import annotations

import dataclasses

import pytest

from shared import config
from shared.config import Settings, read_settings
from shared.errors import Permanent


def test_an_empty_environment_gives_the_defaults() -> None:
    assert read_settings({}) == Settings()


def test_values_are_read_and_empty_ones_are_absent() -> None:
    environment = {"GOOGLE_CLOUD_PROJECT": "p", "BYOMESH_HELM_TIMEOUT": "5", "BYOMESH_REPAIR_ATTEMPTS": "7"}
    found = read_settings({**environment, "BYOMESH_HELM": ""})
    assert (found.project, found.helm_timeout, found.repair_attempts, found.helm) == ("p", 5.0, 7, "helm")


def test_every_fault_is_named() -> None:
    environment = {"BYOMESH_HELM_TIMEOUT": "soon", "BYOMESH_REPAIR_ATTEMPTS": "-1", "BYOMESH_LEASE_STEP": "-2"}
    with pytest.raises(Permanent) as raised:
        read_settings(environment)
    text = str(raised.value)
    assert all(f"{name}={value!r}" in text for name, value in environment.items())


def test_a_lease_shorter_than_a_helm_run_is_refused() -> None:
    with pytest.raises(Permanent, match=r"BYOMESH_LEASE_DURATION \(300 s\) must be longer than BYOMESH_HELM_TIMEOUT"):
        read_settings({"BYOMESH_HELM_TIMEOUT": "300"})


def test_every_setting_is_documented_and_has_a_variable_of_its_own() -> None:
    fields = dataclasses.fields(Settings)
    assert all(field.metadata["meaning"] for field in fields)
    assert len({field.metadata["variable"] for field in fields}) == len(fields)


def test_every_setting_in_seconds_says_so() -> None:
    for field in dataclasses.fields(Settings):
        if isinstance(field.default, float):
            assert field.metadata["meaning"].startswith("seconds"), field.name


@pytest.mark.parametrize("name", ["mesh-install", "projects/p/topics/mesh-install"])
def test_a_topic_by_its_short_or_full_name(name: str) -> None:
    assert Settings(project="p").topic(name) == "projects/p/topics/mesh-install"


def test_the_processs_settings_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    config.settings.cache_clear()
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "from-environment")
    try:
        assert config.settings().project == "from-environment"
        assert config.settings() is config.settings()
    finally:
        config.settings.cache_clear()


def test_trust_is_either_a_secret_or_a_pool() -> None:
    pool = "projects/p/locations/l/caPools/c"
    assert read_settings({"BYOMESH_CA_POOL": pool}).ca_pool == pool
    with pytest.raises(Permanent, match="are both set: the fleet trusts either a pool of CAs or"):
        read_settings({"BYOMESH_CA_POOL": pool, "BYOMESH_TRUST_ANCHOR_SECRET": "projects/p/secrets/s"})
    with pytest.raises(Permanent, match="BYOMESH_CA_POOL='mesh': must be projects/P/locations/L/caPools/C"):
        read_settings({"BYOMESH_CA_POOL": "mesh"})
