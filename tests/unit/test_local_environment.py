from __future__ import annotations

from pathlib import Path

from byomesh.local.environment import Surroundings


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
