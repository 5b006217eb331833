"""The clusterNetworks repair: every place, whatever form the value has there, and nothing else."""

from __future__ import annotations

import base64
import copy
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from shared.mesh.linkerd import networks
from shared.mesh.linkerd.installing import chart_version, wished_networks
from shared.mesh.linkerd.repairs import (
    config_map_patch,
    deployment_patch,
    network_patches,
    networks_in,
    overrides_patch,
)
from tests.unit.doors import autopilot

WISHED = "10.0.0.0/8,fd00::/8,34.118.224.0/20"
LINE = f"clusterNetworks: {WISHED}"
AROUND = ("clusterDomain: cluster.local\n", "\nclusterNetworksOfOthers: 1.0.0.0/8\ncniEnabled: false\n")


def config(values: str) -> dict[str, Any]:
    metadata = {"namespace": "linkerd", "name": "linkerd-config", "resourceVersion": "7"}
    return {"metadata": metadata, "data": {"values": values, "linkerd-crds-chart-version": "x"}}


def patched(values: str) -> str:
    patch = config_map_patch(config(values), WISHED)
    if patch is None:
        return values
    assert patch.path == "/api/v1/namespaces/linkerd/configmaps/linkerd-config"
    assert patch.kind == "merge"
    assert patch.body.keys() == {"metadata", "data"}
    assert patch.body["metadata"] == {"resourceVersion": "7"}
    return str(patch.body["data"].pop("values"))


FORMS = {
    "plain": ("clusterNetworks: 10.0.0.0/8,fd00::/8", "10.0.0.0/8,fd00::/8"),
    "double quotes": ('clusterNetworks: "10.0.0.0/8"', "10.0.0.0/8"),
    "single quotes": ("clusterNetworks: '10.0.0.0/8'", "10.0.0.0/8"),
    "quoted key": ('"clusterNetworks": 10.0.0.0/8', "10.0.0.0/8"),
    "comment": ("clusterNetworks: 10.0.0.0/8  # the old one", "10.0.0.0/8"),
    "empty": ("clusterNetworks:", ""),
    "quoted empty": ('clusterNetworks: ""', ""),
    "folded": ("clusterNetworks: >-\n  10.0.0.0/8", "10.0.0.0/8"),
    "on the next line": ("clusterNetworks:\n  10.0.0.0/8,fd00::/8", "10.0.0.0/8,fd00::/8"),
    "a list": ("clusterNetworks:\n  - 10.0.0.0/8\n  - fd00::/8", ""),
    "a list, not indented": ("clusterNetworks:\n- 10.0.0.0/8\n- fd00::/8", ""),
    "no YAML": ('clusterNetworks: "10.0.0.0/8', ""),
    "spaces": ("clusterNetworks:   10.0.0.0/8, fd00::/8", "10.0.0.0/8, fd00::/8"),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_one_entry_is_replaced_whatever_its_form(form: str) -> None:
    entry, value = FORMS[form]
    before, after = AROUND
    assert networks_in(f"{before}{entry}{after}") == value
    changed = patched(f"{before}{entry}{after}")
    assert changed == f"{before}{LINE}{after}"
    assert networks_in(changed) == WISHED
    assert config_map_patch(config(changed), WISHED) is None


@pytest.mark.parametrize("position", ["first", "last"])
def test_the_entry_may_be_at_either_end(position: str) -> None:
    rest = "a: 1\n"
    values = f"clusterNetworks: x\n{rest}" if position == "first" else f"{rest}clusterNetworks: x"
    assert yaml.safe_load(patched(values)) == {"a": 1, "clusterNetworks": WISHED}


@pytest.mark.parametrize("values", ["", "{}\n", "a: 1\n", "a: 1\nb:\n  clusterNetworks: inner", "---\na: 1\n\n\n"])
def test_a_missing_entry_is_added(values: str) -> None:
    changed = patched(values)
    assert yaml.safe_load(changed) == {**(yaml.safe_load(values) or {}), "clusterNetworks": WISHED}
    assert networks_in(values) == ""
    assert patched(changed) == changed


@pytest.mark.parametrize("network", ["10.0.0.0/8", "fd00::/8", "10.0.0.0/8,fd00::/8", "::/0"])
def test_the_line_is_what_helm_writes(network: str) -> None:
    assert yaml.safe_load(f"clusterNetworks: {network}") == {"clusterNetworks": network}


def overrides(text: bytes | None) -> dict[str, Any]:
    metadata = {"namespace": "linkerd", "name": "linkerd-config-overrides", "resourceVersion": "8"}
    data = {} if text is None else {"linkerd-config-overrides": base64.b64encode(text).decode()}
    return {"metadata": metadata, "data": data}


@pytest.mark.parametrize("text", [None, b"", b"{}\n", b"a: 1\n", b"clusterNetworks: x\na: 1\n", b"---\na: 1\n"])
def test_the_overrides_of_the_cli_keep_all_other_values(text: bytes | None) -> None:
    patch = overrides_patch(overrides(text), WISHED)
    assert patch is not None
    assert (patch.path, patch.kind) == ("/api/v1/namespaces/linkerd/secrets/linkerd-config-overrides", "merge")
    assert patch.body["metadata"] == {"resourceVersion": "8"}
    changed = base64.b64decode(patch.body["data"]["linkerd-config-overrides"])
    others = {key: value for key, value in (yaml.safe_load(text or b"") or {}).items() if key != "clusterNetworks"}
    assert yaml.safe_load(changed) == {**others, "clusterNetworks": WISHED}
    assert overrides_patch(overrides(changed), WISHED) is None


def test_overrides_without_data_get_them() -> None:
    secret = overrides(None)
    del secret["data"]
    assert overrides_patch(secret, WISHED) is not None


@pytest.mark.parametrize("data", ["/w==", "a"])
def test_overrides_that_are_no_text_are_left_alone(data: str) -> None:
    secret = overrides(b"")
    secret["data"] = {"linkerd-config-overrides": data}
    assert overrides_patch(secret, WISHED) is None


def proxy(value: str) -> dict[str, Any]:
    return {
        "name": "linkerd-proxy",
        "env": [
            {"name": "LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS", "value": value},
            {"name": "LINKERD2_PROXY_POLICY_CLUSTER_NETWORKS", "value": value},
            {"name": "LINKERD2_PROXY_LOG", "value": value},
        ],
    }


def deployment(old: str, *, native: bool = True) -> dict[str, Any]:
    init: list[dict[str, Any]] = [{"name": "linkerd-init", "args": ["--ipv6=false"]}]
    main: list[dict[str, Any]] = [
        {"name": "destination", "args": ["destination", "-addr=:8086"]},
        {"name": "policy", "args": ["--admin-addr=x", f"--cluster-networks={old}", "--log=y"]},
        {"name": "no-arguments"},
    ]
    (init if native else main).append(proxy(old))
    pod: dict[str, Any] = {"containers": main, "initContainers": init}
    metadata = {"namespace": "linkerd", "name": "linkerd-destination", "resourceVersion": "9"}
    return {"metadata": metadata, "spec": {"template": {"spec": pod}}}


@pytest.mark.parametrize("native", [True, False])
def test_a_deployments_argument_and_variables_are_replaced_and_nothing_else(native: bool) -> None:
    patch = deployment_patch(deployment("10.0.0.0/8", native=native), WISHED)
    assert patch is not None
    assert patch.path == "/apis/apps/v1/namespaces/linkerd/deployments/linkerd-destination"
    assert patch.kind == "strategic"
    policy = {"name": "policy", "args": ["--admin-addr=x", f"--cluster-networks={WISHED}", "--log=y"]}
    variables = [
        {"name": f"LINKERD2_PROXY_{name}", "value": WISHED}
        for name in ("DESTINATION_PROFILE_NETWORKS", "POLICY_CLUSTER_NETWORKS")
    ]
    changed = {"name": "linkerd-proxy", "env": variables}
    expected = {"initContainers": [changed], "containers": [policy]} if native else {"containers": [policy, changed]}
    assert patch.body == {"metadata": {"resourceVersion": "9"}, "spec": {"template": {"spec": expected}}}


def test_a_deployment_that_agrees_is_left_alone() -> None:
    assert deployment_patch(deployment(WISHED), WISHED) is None
    bare = deployment(WISHED)
    bare["spec"]["template"]["spec"] = {"containers": [{"name": "web"}], "initContainers": None}
    assert deployment_patch(bare, WISHED) is None


def test_all_places_are_mended_and_only_those_that_differ() -> None:
    good, bad = config(f"{LINE}\n"), config("clusterNetworks: x\n")
    old, new = deployment("x"), deployment(WISHED)
    every = network_patches(bad, [old, new], overrides(b""), WISHED)
    assert [patch.what.partition(":")[0].partition(",")[0] for patch in every] == [
        "ConfigMap linkerd-config",
        "Secret linkerd-config-overrides",
        "Deployment linkerd-destination",
    ]
    assert network_patches(good, [new], None, WISHED) == ()
    assert len(network_patches(good, [old], None, WISHED)) == 1


def test_nothing_that_was_looked_at_is_changed() -> None:
    seen = (config("clusterNetworks: x\n"), deployment("x"), overrides(b"a: 1\n"))
    kept = copy.deepcopy(seen)
    network_patches(seen[0], [seen[1]], seen[2], WISHED)
    assert seen == kept


CIDRS = st.one_of(
    st.ip_addresses(v=4).flatmap(lambda address: st.integers(8, 32).map(lambda ones: f"{address}/{ones}")),
    st.ip_addresses(v=6).flatmap(lambda address: st.integers(8, 128).map(lambda ones: f"{address}/{ones}")),
)


@given(st.lists(CIDRS, max_size=4), st.lists(CIDRS, max_size=3), st.lists(CIDRS, max_size=3))
def test_the_wished_networks_cover_everything_and_are_the_same_the_second_time(
    pods: list[str], live: list[str], extra: list[str]
) -> None:
    cluster = autopilot(pod_ranges=tuple(pods))
    first = wished_networks(cluster, ",".join(live), tuple(extra))
    parsed = networks.parse(first)
    defaults = networks.DEFAULT_NETWORKS.split(",")
    assert all(parsed.covers_cidr(one) for one in [*defaults, *pods, *cluster.service_ranges, *live, *extra])
    assert first.startswith(networks.DEFAULT_NETWORKS)
    assert len(set(first.split(","))) == len(first.split(","))
    assert wished_networks(cluster, first) == first
    values = yaml.safe_dump({"a": 1, "clusterNetworks": first}, width=1_000_000)
    assert networks_in(values) == first


@pytest.mark.parametrize("live", ["", "10.0.0.0/8, 1.0.0.0/8", "10.0.0.0", "x"])
def test_networks_that_linkerd_cannot_read_are_left_out(live: str) -> None:
    assert wished_networks(autopilot(), live) == f"{networks.DEFAULT_NETWORKS},34.118.224.0/20"


def test_an_edge_release_is_told_from_a_charts_own_version() -> None:
    assert (chart_version("edge-26.6.3"), chart_version("2026.6.3")) == ("2026.6.3", "2026.6.3")
