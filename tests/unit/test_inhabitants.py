"""What the inhabitants of a local cluster know without one: who is behind a Service, what tap is, how amounts read."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from byomesh.local.inhabitants import amounts, tap
from byomesh.local.inhabitants.whereabouts import pod_port, tls_pair

Json = dict[str, Any]

SERVICE: Json = {"spec": {"ports": [{"name": "injector", "port": 443}, {"name": "other", "port": 444}]}}


def endpoints(*ready: bool | None, port: int | None = 8443, name: str = "injector") -> Json:
    return {
        "endpoints": [{"conditions": {"ready": one}} for one in ready],
        "ports": [{"name": name, "port": port}],
    }


@pytest.mark.parametrize(
    ("number", "slices", "expected"),
    [
        ("443", [endpoints(True)], 8443),
        ("443", [endpoints(False, True)], 8443),
        ("443", [endpoints(False), endpoints(True, port=9443)], 9443),
        ("443", [endpoints(False)], None),
        ("443", [endpoints(None)], None),
        ("443", [endpoints()], None),
        ("443", [], None),
        ("443", [{"endpoints": None, "ports": None}], None),
        ("443", [endpoints(True, port=None)], None),
        ("444", [endpoints(True)], None),
        ("445", [endpoints(True)], None),
    ],
)
def test_a_service_leads_to_its_pods_port_while_one_is_ready(
    number: str, slices: list[Json], expected: int | None
) -> None:
    assert pod_port(SERVICE, number, slices) == expected


def test_a_port_without_a_name_is_a_services_only_one() -> None:
    nameless = {"endpoints": [{"conditions": {"ready": True}}], "ports": [{"port": 8089}]}
    assert pod_port({"spec": {"ports": [{"port": 443}]}}, "443", [nameless]) == 8089


def test_a_secret_holds_certificate_and_key_or_neither() -> None:
    encoded = base64.b64encode(b"pem").decode()
    assert tls_pair({"data": {"tls.crt": encoded, "tls.key": encoded}}) == (b"pem", b"pem")
    for data in (None, {}, {"tls.crt": encoded}, {"tls.crt": encoded, "tls.key": "?"}):
        assert tls_pair({"data": data}) is None
    assert tls_pair(None) is None


@pytest.mark.parametrize(
    ("path", "status", "key"),
    [
        ("/apis/tap.linkerd.io/v1alpha1", 200, "resources"),
        ("/apis/tap.linkerd.io", 200, "preferredVersion"),
        ("/apis", 200, "groups"),
        ("/openapi/v2", 200, "swagger"),
        ("/apis/tap.linkerd.io/v1alpha1/watch/namespaces/shop/pods/web/tap", 501, "error"),
        ("/metrics", 404, "paths"),
    ],
)
def test_tap_is_discovered_but_taps_nothing(path: str, status: int, key: str) -> None:
    response = tap.answer(path)
    assert isinstance(response.body, bytes)
    assert (response.status, key in json.loads(response.body)) == (status, True)
    assert tap.answer("/healthz").text == "ok"


@pytest.mark.parametrize(
    ("text", "cores"), [("100m", 1), ("1", 1), ("1.001", 2), ("2k", 2000), ("1Ki", 1024), ("3e2", 300), ("0", 0)]
)
def test_quantities_in_whole_cores(text: str, cores: int) -> None:
    assert (amounts.whole_cores(text), amounts.quantity(text)) == (cores, text)


@pytest.mark.parametrize("text", ["", "a", "1 m", "1mm", "Mi", "--1"])
def test_what_is_no_quantity(text: str) -> None:
    assert (amounts.whole_cores(text), amounts.quantity(text)) == (None, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1h1m1s", 3661.0), ("1.5s", 1.5), ("-2ms", -0.002), ("0", 0.0), ("1", None), ("s", None), ("1s ", None)],
)
def test_durations(text: str, expected: float | None) -> None:
    assert amounts.seconds(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("80", "80"), ("80-80", "80"), ("80-90", "80-90"), ("90-80", None), ("1-2-3", None), ("70000", None), ("a", None)],
)
def test_port_ranges(text: str, expected: str | None) -> None:
    assert amounts.port_range(text) == expected
