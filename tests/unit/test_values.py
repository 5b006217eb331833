"""Helm values of a release, from the profile, the cluster and the policy."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Refused
from shared.mesh.profile import ReleaseProfile, load_profile
from shared.mesh.values import leaves, merged, refuse, release_values
from shared.model import Images, MeshSettings

PROFILE = load_profile("linkerd")
CONTROL = "linkerd-control-plane"
CHART = {"controllerImage": "cr.l5d.io/linkerd/controller", "controllerImageVersion": ""}


def control_plane() -> ReleaseProfile:
    return next(release for release in PROFILE.releases if release.name == CONTROL)


def values(wish: MeshSettings, computed: dict[str, Any] | None = None) -> dict[str, Any]:
    return release_values(control_plane(), wish, computed or {}, CHART, "edge-1.2.3")


def test_nothing_asked_for_is_the_profiles_values_and_the_clusters() -> None:
    found = values(MeshSettings(), {"clusterNetworks": "10.0.0.0/8"})
    assert found == {**control_plane().values, "clusterNetworks": "10.0.0.0/8"}


def test_high_availability_lies_over_the_profiles_values_and_is_gone_when_it_is_off() -> None:
    on, off = values(MeshSettings(ha=True)), values(MeshSettings())
    assert (on["controllerReplicas"], on["webhookFailurePolicy"], on["highAvailability"]) == (3, "Fail", True)
    assert (on["enablePodAntiAffinity"], on["enablePodDisruptionBudget"]) == (True, True)
    assert on["proxy"] == off["proxy"]
    assert on["proxyInjector"]["namespaceSelector"] == off["proxyInjector"]["namespaceSelector"]
    assert not {"controllerReplicas", "webhookFailurePolicy", "highAvailability"} & off.keys()


def test_what_the_cluster_decides_wins_over_both_and_the_policy_over_all() -> None:
    wish = MeshSettings(ha=True, values={CONTROL: {"controllerReplicas": 5, "proxy": {"logLevel": "info"}}})
    found = values(wish, {"controllerReplicas": 4})
    assert found["controllerReplicas"] == 5
    assert found["proxy"]["logLevel"] == "info"
    assert found["proxy"]["resources"] == control_plane().values["proxy"]["resources"]


def test_images_are_moved_unless_the_policys_values_say_otherwise() -> None:
    wish = MeshSettings(images=Images(registry="r.example/mesh"))
    assert values(wish)["controllerImage"] == "r.example/mesh/controller"
    own = MeshSettings(images=wish.images, values={CONTROL: {"controllerImage": "r.example/other"}})
    assert values(own)["controllerImage"] == "r.example/other"


def test_values_for_another_release_are_no_part_of_this_one() -> None:
    assert values(MeshSettings(values={"linkerd-crds": {"enableTcpRoutes": True}})) == control_plane().values


@pytest.mark.parametrize("selector", ["proxyInjector", "profileValidator", "policyValidator"])
def test_no_webhook_looks_at_what_is_kubernetes_or_googles_own(selector: str) -> None:
    disabled, names = values(MeshSettings(ha=True))[selector]["namespaceSelector"]["matchExpressions"]
    assert disabled["values"] == ["disabled"]
    assert names["operator"] == "NotIn"
    assert {"kube-system", "kube-node-lease", "gke-managed-system", "gke-gmp-system", "gmp-system"} <= {
        *names["values"]
    }


REFUSED: list[tuple[str, Any, str]] = [
    ("cniEnabled", True, "DaemonSet"),
    ("cniEnabled", None, "DaemonSet"),
    ("proxyInit.privileged", True, "privileged"),
    ("proxyInit.closeWaitTimeoutSecs", 30, "privileged"),
    ("proxyInit.runAsRoot", True, "privileged"),
    ("proxyInit.capabilities.add", ["SYS_ADMIN"], "NET_ADMIN"),
    ("proxyInit.iptablesMode", "legacy", "iptablesMode"),
    ("proxyInit", None, "privileged"),
    ("priorityClassName", "x", "priorityClass"),
    ("clusterNetworks", "10.0.0.0/8", "computed"),
    ("identityTrustAnchorsPEM", "PEM", "Secret Manager"),
    ("identity.issuer.scheme", "linkerd.io/tls", "issuer"),
    ("identity.issuer.tls.crtPEM", "PEM", "issuer"),
    ("identity.issuer.tls.keyPEM", "x", "no key"),
    ("identity", "x", "issuer"),
    ("identity.externalCA", True, "issuer"),
    ("proxyInjector.caBundle", "PEM", "webhooks"),
    ("proxyInjector.keyPEM", "x", "no key"),
    ("policyValidator.externalSecret", False, "webhooks"),
    ("profileValidator.injectCaFrom", "x", "webhooks"),
    ("destinationController.additionalArgs", ["-----BEGIN PRIVATE KEY-----"], "no key"),
    ("proxy.additionalEnv", [{"name": "X", "value": "-----BEGIN EC PRIVATE KEY-----"}], "no key"),
]


def nested(path: str, value: Any) -> dict[str, Any]:
    found = value
    for key in reversed(path.split(".")):
        found = {key: found}
    return {CONTROL: found}


@pytest.mark.parametrize(("path", "value", "words"), REFUSED)
def test_what_a_policy_may_not_set_is_refused_by_name(path: str, value: Any, words: str) -> None:
    with pytest.raises(Refused) as caught:
        refuse(PROFILE, MeshSettings(values=nested(path, value)), "projects/p/locations/l/clusters/c")
    error = caught.value
    assert error.reason == "PolicySettingsRefused"
    assert error.problem.startswith(f"values.{CONTROL}.{path}")
    assert words in error.problem
    assert error.cluster.endswith("/c")
    assert error.remedy


HARMLESS: list[tuple[str, Any]] = [
    ("cniEnabled", False),
    ("proxyInit.privileged", False),
    ("proxyInit.closeWaitTimeoutSecs", 0),
    ("proxyInit.logLevel", "debug"),
    ("controllerReplicas", 2),
    ("tolerations", [{"key": "x", "operator": "Exists"}]),
    ("proxyInjector.timeoutSeconds", 5),
    ("identity", {}),
    ("proxyInit", {}),
    ("proxy.nativeSidecar", False),
    ("webhookFailurePolicy", "Fail"),
]


@pytest.mark.parametrize(("path", "value"), HARMLESS)
def test_all_else_may_be_set(path: str, value: Any) -> None:
    refuse(PROFILE, MeshSettings(values=nested(path, value)))


def test_every_fault_is_named_at_once() -> None:
    wish = MeshSettings(
        values={"linkerd-cni": {}, CONTROL: {"cniEnabled": True}},
        images=Images(registry="https://r.example", digests={"proxy": "sha256:1"}),
    )
    with pytest.raises(Refused) as caught:
        refuse(PROFILE, wish)
    for words in ("linkerd-cni: linkerd has no such release", "cniEnabled", "images.registry", "images.digests.proxy"):
        assert words in caught.value.problem


def test_no_value_of_a_refused_setting_is_in_the_words() -> None:
    with pytest.raises(Refused) as caught:
        refuse(PROFILE, MeshSettings(values=nested("identity.issuer.tls.keyPEM", "hush-hush")))
    assert "hush" not in str(caught.value)


def test_leaves_are_found_with_their_way() -> None:
    found = dict(leaves({"a": {"b": 1, "c": {}}, "d": [{"e": 2}, 3], "f": [1]}))
    assert found == {("a", "b"): 1, ("d", "0", "e"): 2, ("d", "1"): 3, ("f",): [1]}


def test_layers_are_laid_from_left_to_right() -> None:
    assert merged({"a": 1}, {"a": 2, "b": {"c": 1}}, {"b": {"d": 2}}) == {"a": 2, "b": {"c": 1, "d": 2}}


MAPS = st.dictionaries(st.sampled_from("abc"), st.integers() | st.dictionaries(st.sampled_from("xy"), st.integers()))


@given(MAPS, MAPS, MAPS)
def test_many_layers_are_one_after_the_other(one: dict[str, Any], two: dict[str, Any], three: dict[str, Any]) -> None:
    assert merged(one, two, three) == merged(merged(one, two), three)
