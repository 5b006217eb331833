"""linkerd-config's values as they are kept: read as Go reads them, faults in its words."""

from __future__ import annotations

from typing import Any

import pytest

from shared.mesh.fold import kinds, settings
from shared.mesh.snapshot import MeshConfig, Overrides


def _config(text: str | None, **metadata: Any) -> MeshConfig:
    data = {} if text is None else {"values": text}
    return settings.config(kinds.ConfigMap(kinds.Meta("linkerd-config", **metadata), data))


def test_metadata_for_conditional_writes_and_ownership() -> None:
    managers = tuple(kinds.ManagedFields(name) for name in ("helm", "kubectl-patch", "helm"))
    found = _config("a: 1", uid="u", resource_version="7", labels={"l": "1"}, managed_fields=managers)
    assert (found.uid, found.resource_version, found.labels) == ("u", "7", {"l": "1"})
    assert found.managers == ("helm", "kubectl-patch")


@pytest.mark.parametrize(
    ("text", "networks"),
    [
        ("clusterNetworks: 10.0.0.0/8", "10.0.0.0/8"),
        ("clusterNetworks: ' 10.0.0.0/8'", " 10.0.0.0/8"),
        ("clusterNetworks:", ""),
        ("other: 1", ""),
        ("clusterNetworks: 10", "10"),
        ("clusterNetworks: true", "true"),
        ("global:\n  clusterNetworks: 10.0.0.0/8\n", "10.0.0.0/8"),
        ("global: x\nclusterNetworks: 10.0.0.0/8\n", "10.0.0.0/8"),
        ("# nothing but words", ""),
    ],
)
def test_the_networks_as_written(text: str, networks: str) -> None:
    found = _config(text)
    assert (found.networks, found.fault) == (networks, "")


_JSON = "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (None, "linkerd-config has no values"),
        ("", "linkerd-config has no values"),
        ("a: b: c", "error converting YAML to JSON: yaml: mapping values are not allowed in this context"),
        ("a:\n\t- b", "error converting YAML to JSON: yaml: line 2: found character that cannot start any token"),
        ("a: [1\nb: 2", "error converting YAML to JSON: yaml: line 1: did not find expected ',' or ']'"),
        ("- a", f"{_JSON} array into Go value of type map[string]interface {{}}"),
        ("text", f"{_JSON} string into Go value of type map[string]interface {{}}"),
        ("clusterNetworks: [a]", f"{_JSON} array into Go struct field Values.clusterNetworks of type string"),
        ("clusterNetworks: {a: b}", f"{_JSON} object into Go struct field Values.clusterNetworks of type string"),
        ("highAvailability: 'no, thanks'", f"{_JSON} string into Go struct field Values.highAvailability of type bool"),
        ("proxyInit: 3", f"{_JSON} number into Go struct field Values.proxyInit of type linkerd2.ProxyInit"),
        ("proxyInit: {runAsRoot: 1}", f"{_JSON} number into Go struct field Values.proxyInit.runAsRoot of type bool"),
    ],
)
def test_a_text_that_cannot_be_used(text: str | None, fault: str) -> None:
    found = _config(text)
    assert (found.values, found.networks) == (None, None)
    assert found.fault == fault


def test_dates_stay_text_and_private_keys_are_left_out() -> None:
    found = _config("at: 2026-11-23\nlist: [{keyPEM: secret, a: 1}]\nproxyInjector: {keyPEM: secret}\n")
    assert found.values == {"at": "2026-11-23", "list": [{"a": 1}], "proxyInjector": {}}


@pytest.mark.parametrize(
    ("data", "networks"),
    [
        ({"linkerd-config-overrides": b"clusterNetworks: 10.0.0.0/8\nidentity: {issuer: {}}\n"}, "10.0.0.0/8"),
        ({"linkerd-config-overrides": b"identity: {}\n"}, None),
        ({"linkerd-config-overrides": b"a: b: c"}, None),
        ({}, None),
    ],
)
def test_overrides_keep_nothing_but_the_networks(data: dict[str, bytes], networks: str | None) -> None:
    secret = kinds.Secret(kinds.Meta("linkerd-config-overrides", resource_version="9"), data)
    assert settings.overrides(secret) == Overrides("9", networks)
