"""Differences of objects, path by path."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mesh.drift import ObjectName, differing_paths, owned_by_helm

LIVE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "c", "namespace": "n", "labels": {"a.b/c": "1"}},
    "data": {"values": "x"},
    "webhooks": [{"name": "h", "namespaceSelector": {"matchLabels": {"k": "v"}}, "rules": [1, 2]}],
}


def changed(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(LIVE), **changes}


PATHS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "nothing": (changed(), ()),
    "a value": (changed(data={"values": "y"}), ("data.values",)),
    "more and less": (changed(data={"other": "x"}), ("data.other", "data.values")),
    "null is absent": (changed(data={"values": "x", "none": None}), ()),
    "another type": (changed(data="x"), ("data",)),
    "an item": (changed(webhooks=[{**LIVE["webhooks"][0], "rules": [1, 3]}]), ("webhooks.0.rules.1",)),
    "another length": (changed(webhooks=[{**LIVE["webhooks"][0], "rules": [1]}]), ("webhooks.0.rules",)),
    "a label": (
        changed(metadata={"name": "c", "namespace": "n", "labels": {"a.b/c": "2"}}),
        ("metadata.labels.a.b/c",),
    ),
}


@pytest.mark.parametrize("case", PATHS)
def test_what_differs_is_told_by_its_path(case: str) -> None:
    wished, paths = PATHS[case]
    assert differing_paths(LIVE, wished) == paths


def test_bookkeeping_and_status_never_differ() -> None:
    kept = ["managedFields", "resourceVersion", "generation", "creationTimestamp", "uid", "selfLink"]
    wished = changed(metadata={**LIVE["metadata"], **dict.fromkeys(kept, "other")}, status={"replicas": 3})
    assert differing_paths(LIVE, wished) == ()
    assert differing_paths({"status": 1}, {"metadata": {"uid": "u"}}) == ()


IGNORED = [
    (["webhooks.*.namespaceSelector"], ("data.values", "webhooks.0.rules")),
    (["webhooks"], ("data.values",)),
    (["*.values", "webhooks.0"], ()),
    (["webhooks.*.namespaceSelector.matchLabels.other", "webhooks.1"], None),
    (["data.values.deeper"], None),
]


@pytest.mark.parametrize(("ignored", "paths"), IGNORED)
def test_what_the_platform_owns_is_left_out(ignored: list[str], paths: tuple[str, ...] | None) -> None:
    hook = {"name": "h", "namespaceSelector": {"matchLabels": {"k": "gke", "l": "w"}}, "rules": [1]}
    wished = changed(data={"values": "y"}, webhooks=[hook])
    selector = ("webhooks.0.namespaceSelector.matchLabels.k", "webhooks.0.namespaceSelector.matchLabels.l")
    everything = ("data.values", *selector, "webhooks.0.rules")
    assert differing_paths(LIVE, wished, ignored) == (everything if paths is None else paths)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz", max_size=2), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from(["data", "spec", "kind"]), JSON)


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


@given(OBJECTS, OBJECTS)
def test_there_is_a_path_where_there_is_a_difference(one: dict[str, Any], other: dict[str, Any]) -> None:
    paths = differing_paths(one, other)
    assert paths == differing_paths(other, one)
    assert list(paths) == sorted(paths)
    # Null and absent are one to the API server.
    assert (not paths) is bool(without_nulls(one) == without_nulls(other))
    assert differing_paths(one, other, ["data", "spec", "kind"]) == ()


def test_helm_adds_its_ownership_and_the_namespace() -> None:
    role = {"kind": "Role", "metadata": {"name": "r", "labels": {"l": "1"}, "annotations": None}}
    owned = owned_by_helm(role, "release", "linkerd", namespaced=True)
    assert owned["metadata"] == {
        "name": "r",
        "namespace": "linkerd",
        "labels": {"l": "1", "app.kubernetes.io/managed-by": "Helm"},
        "annotations": {"meta.helm.sh/release-name": "release", "meta.helm.sh/release-namespace": "linkerd"},
    }
    assert role == {"kind": "Role", "metadata": {"name": "r", "labels": {"l": "1"}, "annotations": None}}


def test_a_namespace_of_its_own_is_kept_and_a_clusters_object_gets_none() -> None:
    elsewhere = {"kind": "RoleBinding", "metadata": {"name": "r", "namespace": "kube-system"}}
    assert owned_by_helm(elsewhere, "release", "linkerd", namespaced=True)["metadata"]["namespace"] == "kube-system"
    assert "namespace" not in owned_by_helm({"metadata": {"name": "c"}}, "r", "linkerd", namespaced=False)["metadata"]


def test_objects_are_named_as_people_say_them() -> None:
    assert str(ObjectName.of(LIVE)) == "ConfigMap n/c"
    assert str(ObjectName.of({"kind": "ClusterRole", "metadata": {"name": "r"}})) == "ClusterRole r"
    assert ObjectName.of({}) == ObjectName("", "", "")
