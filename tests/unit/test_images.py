"""Where a mesh's images come from."""

from __future__ import annotations

from typing import Any

import pytest

from shared.mesh.images import faults, image_values, is_within, moved, reference, repository, value_at, with_versions_of
from shared.mesh.profile import ImagePlace, load_profile
from shared.mesh.values import merged
from shared.model import Images

DIGEST = f"sha256:{'0123456789abcdef' * 4}"
OTHER = f"sha256:{'f' * 64}"
CONTROLLER = ImagePlace(image="controller", name="controllerImage", version="controllerImageVersion")
PROXY = ImagePlace(image="proxy", name="proxy.image.name", version="proxy.image.version")
TAP = ImagePlace(image="tap", registry="tap.image.registry", name="tap.image.name", version="tap.image.tag")
METRICS = ImagePlace(image="prometheus", registry="p.registry", name="p.name", version="p.tag")
PLACES = (CONTROLLER, PROXY, TAP, METRICS)
CHART: dict[str, Any] = {
    "controllerImage": "cr.l5d.io/linkerd/controller",
    "controllerImageVersion": "",
    "proxy": {"image": {"name": "cr.l5d.io/linkerd/proxy", "version": ""}},
    "tap": {"image": {"registry": "", "name": "tap", "tag": ""}},
    "p": {"registry": "prom", "name": "prometheus", "tag": "v2.55.1"},
}


def rendered(wish: Images, places: tuple[ImagePlace, ...] = PLACES, chart: dict[str, Any] = CHART) -> list[str]:
    ours = merged(chart, image_values(places, wish, chart, "edge-1"))
    return [reference(place, ours, "edge-1") for place in places]


def test_nothing_asked_for_sets_nothing() -> None:
    assert image_values(PLACES, Images(), CHART, "edge-1") == {}
    assert rendered(Images()) == [
        "cr.l5d.io/linkerd/controller:edge-1",
        "cr.l5d.io/linkerd/proxy:edge-1",
        "tap:edge-1",
        "prom/prometheus:v2.55.1",
    ]


@pytest.mark.parametrize("registry", ["eu.example:5000/p/mesh", "eu.example:5000/p/mesh/"])
def test_a_registry_takes_the_place_of_every_images_own(registry: str) -> None:
    assert rendered(Images(registry=registry)) == [
        "eu.example:5000/p/mesh/controller:edge-1",
        "eu.example:5000/p/mesh/proxy:edge-1",
        "eu.example:5000/p/mesh/tap:edge-1",
        "eu.example:5000/p/mesh/prometheus:v2.55.1",
    ]


def test_a_digest_goes_behind_the_tag() -> None:
    found = rendered(Images(digests={"proxy": DIGEST, "prometheus": OTHER, "web": OTHER}))
    assert found[1] == f"cr.l5d.io/linkerd/proxy:edge-1@{DIGEST}"
    assert found[3] == f"prom/prometheus:v2.55.1@{OTHER}"
    assert found[0] == "cr.l5d.io/linkerd/controller:edge-1"


def test_a_kept_version_keeps_its_tags_and_digests_and_takes_all_else() -> None:
    wished = {"controllerImage": "r/c", "proxy": {"image": {"version": f"2@{DIGEST}", "name": "r/p"}, "x": 1}}
    assert with_versions_of(PLACES, wished, {}) == {
        "controllerImage": "r/c",
        "proxy": {"image": {"name": "r/p"}, "x": 1},
    }
    deployed = {"controllerImageVersion": f"1@{OTHER}", "proxy": {"image": {"version": f"1@{OTHER}"}}}
    assert with_versions_of(PLACES, wished, deployed) == {
        "controllerImage": "r/c",
        "controllerImageVersion": f"1@{OTHER}",
        "proxy": {"image": {"version": f"1@{OTHER}", "name": "r/p"}, "x": 1},
    }
    assert with_versions_of(PLACES, {"proxy": {"image": {"version": "2"}}}, {}) == {}
    assert wished["proxy"] != {}


def test_an_image_that_the_chart_does_not_have_is_left_out() -> None:
    place = ImagePlace(image="proxy-init", name="proxyInit.image.name", version="proxyInit.image.version")
    charts: list[dict[str, Any]] = [{}, {"proxyInit": {}}, {"proxyInit": "x"}, {"proxyInit": {"image": {"name": ""}}}]
    for chart in charts:
        assert image_values((place,), Images(registry="r.example", digests={"proxy-init": DIGEST}), chart, "1") == {}
        assert reference(place, chart, "1") == ""


def test_the_profile_names_each_image_once_and_by_its_last_name() -> None:
    places = [place for release in load_profile("linkerd").releases for place in release.images]
    assert len({place.name for place in places}) == len(places)
    assert {"controller", "proxy", "debug"} <= {place.image for place in places}


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("docker.io/buoyantio/web:v11", "r.example/m/web:v11"),
        ("localhost:5000/web", "r.example/m/web"),
        (f"a/web@{OTHER}", f"r.example/m/web@{OTHER}"),
        ("a/emoji:v1", f"r.example/m/emoji:v1@{DIGEST}"),
        (f"a/emoji:v1@{OTHER}", f"r.example/m/emoji:v1@{DIGEST}"),
    ],
)
def test_a_reference_is_moved_as_a_whole(image: str, expected: str) -> None:
    assert moved(image, Images(registry="r.example/m", digests={"emoji": DIGEST})) == expected
    assert moved(image, Images()) == image


def test_references_are_taken_apart() -> None:
    assert repository(f"localhost:5000/a/b:v1@{DIGEST}") == "localhost:5000/a/b"
    assert repository("localhost:5000/a/b") == "localhost:5000/a/b"
    assert is_within("r.example/m/web:v1", "r.example/m")
    assert is_within("r.example/m/web:v1", "r.example/")
    assert not is_within("r.example/mesh/web:v1", "r.example/m")
    assert value_at({"a": {"b": 1}}, "a.b") == 1
    assert value_at({"a": 1}, "a.b") is None


GOOD = ["europe-docker.pkg.dev/p/mesh", "localhost:5000", "gcr.io/p/", "r.example/a/b_c/d-e.f"]
BAD = ["https://r.example", "r.example/a:v1", "R.example", "r.example/A", "r.example//a", " r.example", f"r/a@{DIGEST}"]


@pytest.mark.parametrize("registry", GOOD)
def test_registries_are_hosts_with_a_path(registry: str) -> None:
    assert list(faults(Images(registry=registry, digests={"proxy": DIGEST}))) == []


@pytest.mark.parametrize("registry", BAD)
def test_what_is_no_registry_is_a_fault(registry: str) -> None:
    (fault,) = faults(Images(registry=registry))
    assert fault.startswith("images.registry: ")


@pytest.mark.parametrize(
    "digest", ["", "sha256:", "sha256:12", DIGEST.upper(), DIGEST[7:], f"{DIGEST}0", f"{DIGEST}\n"]
)
def test_what_is_no_digest_is_a_fault(digest: str) -> None:
    (fault,) = faults(Images(digests={"proxy": digest}))
    assert fault.startswith("images.digests.proxy: ")
