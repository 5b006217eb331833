from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from byomesh.local.environment import Surroundings
from byomesh.local.identity import Identity


def surroundings(charts: str) -> Surroundings:
    return Surroundings(
        project="p",
        apis="127.0.0.1:1",
        pubsub="127.0.0.1:2",
        rest="http://127.0.0.1:3",
        authority=Path("ca.pem"),
        keys=Path("keys"),
        helm=Path("helm"),
        charts=charts,
        extra={"BYOMESH_LEASE_DURATION": "8"},
    )


def test_with_charts_at_hand_nothing_of_a_function_leaves_the_machine() -> None:
    environment = surroundings("charts").of("install_mesh", Path("home"))
    assert environment["HTTPS_PROXY"] == "http://127.0.0.1:9"
    assert environment["NO_PROXY"] == "127.0.0.1,localhost"
    assert environment["BYOMESH_CHARTS"] == "charts"


def test_without_charts_only_the_repositories_of_the_meshes_can_be_reached() -> None:
    environment = surroundings("").of("install_mesh", Path("home"))
    assert environment["NO_PROXY"] == "127.0.0.1,localhost,helm.linkerd.io"
    assert "BYOMESH_CHARTS" not in environment


def test_settings_given_by_hand_replace_the_local_ones() -> None:
    assert surroundings("").of("install_mesh", Path("home"))["BYOMESH_LEASE_DURATION"] == "8"


def test_an_operator_keeps_a_home_and_a_way_out_of_their_own() -> None:
    assert not surroundings("").of_operator().keys() & {"HOME", "TMPDIR", "HTTPS_PROXY", "NO_PROXY"}


def test_a_person_has_an_account_and_a_key_of_their_own(tmp_path: Path) -> None:
    made = dataclasses.replace(surroundings(""), keys=tmp_path)
    identity = Identity(token_uri="http://127.0.0.1:3/token")
    environment = made.of_person("alice@example.com", identity)
    assert environment["BYOMESH_LOGGING_ENDPOINT"] == "127.0.0.1:1"
    key = json.loads(Path(environment["GOOGLE_APPLICATION_CREDENTIALS"]).read_text())
    assert key["client_email"] == "alice@example.com"
    assert identity.accounts() == {"alice@example.com": "cluster-admin"}


@pytest.mark.parametrize("email", ["alice", "../alice@example.com", "alice@", "a/b@example.com", "alice@example.com\n"])
def test_what_is_no_e_mail_makes_no_account(tmp_path: Path, email: str) -> None:
    identity = Identity(token_uri="")
    with pytest.raises(ValueError, match="is no e-mail"):
        dataclasses.replace(surroundings(""), keys=tmp_path).of_person(email, identity)
    assert (identity.accounts(), list(tmp_path.iterdir())) == ({}, [])
