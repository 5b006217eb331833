"""The stand-in API server: what becomes of requests, without a socket."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from byomesh.local.stand_in.cluster import Facts, populated
from byomesh.local.stand_in.kinds import discovery, resource_list
from byomesh.local.stand_in.merging import PatchError, applied, json_patched, merged, strategic
from byomesh.local.stand_in.protobuf import ProtobufError, secret
from byomesh.local.stand_in.store import Store, selected
from shared.mesh.admission import probe_pod

MAPS = "/api/v1/namespaces/default/configmaps"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
MERGE, STRATEGIC, JSON, APPLY = (
    f"application/{kind}"
    for kind in ("merge-patch+json", "strategic-merge-patch+json", "json-patch+json", "apply-patch+yaml")
)


def store(*, net_admin: bool = True) -> Store:
    facts = Facts(
        name="eu-1",
        autopilot=True,
        net_admin=lambda: net_admin,
        pods="10.4.0.0/14",
        services="34.118.224.0/20",
    )
    return populated(facts)


def ok(made: Store, method: str, path: str, body: Any = None, kind: str = "application/json", **query: str) -> Any:
    code, answer = made.answer(method, path, query, body, kind)
    assert code in (200, 201), answer
    return answer


def refused(made: Store, method: str, path: str, body: Any = None, kind: str = "application/json") -> tuple[int, str]:
    code, answer = made.answer(method, path, {}, body, kind)
    return code, answer["reason"]


def test_an_object_is_created_once_read_changed_and_deleted() -> None:
    made = store()
    created = ok(made, "POST", MAPS, {"metadata": {"name": "a"}, "data": {"x": "1"}})
    assert refused(made, "POST", MAPS, {"metadata": {"name": "a"}}) == (409, "AlreadyExists")
    assert ok(made, "GET", f"{MAPS}/a") == created
    changed = ok(made, "PATCH", f"{MAPS}/a", {"data": {"x": None, "y": "2"}}, MERGE)
    assert changed["data"] == {"y": "2"}
    assert changed["metadata"]["uid"] == created["metadata"]["uid"]
    assert changed["metadata"]["resourceVersion"] != created["metadata"]["resourceVersion"]
    stale = {**created, "data": {"x": "3"}}
    assert refused(made, "PUT", f"{MAPS}/a", stale) == (409, "Conflict")
    ok(made, "DELETE", f"{MAPS}/a")
    assert refused(made, "DELETE", f"{MAPS}/a") == (404, "NotFound")
    assert refused(made, "GET", f"{MAPS}/a") == (404, "NotFound")
    assert refused(made, "PATCH", f"{MAPS}/a", {}, MERGE) == (404, "NotFound")
    assert made.writes == [f"POST {MAPS}/a", f"PATCH {MAPS}/a", f"DELETE {MAPS}/a"]


def test_what_changes_nothing_keeps_its_version_and_a_dry_run_keeps_nothing() -> None:
    made = store()
    created = ok(made, "PATCH", f"{MAPS}/a", {"data": {"x": "1"}}, APPLY, fieldManager="helm")
    assert ok(made, "PATCH", f"{MAPS}/a", {"data": {"x": "1"}}, APPLY, fieldManager="helm") == created
    wished = ok(made, "PATCH", f"{MAPS}/a", {"data": {"x": "2"}}, APPLY, fieldManager="helm", dryRun="All")
    assert wished["data"] == {"x": "2"}
    ok(made, "POST", MAPS, {"metadata": {"generateName": "b-"}}, dryRun="All")
    ok(made, "DELETE", f"{MAPS}/a", dryRun="All")
    assert ok(made, "GET", MAPS)["items"] == [created]
    assert made.writes == [f"PATCH {MAPS}/a"]


def test_a_lease_goes_to_one_of_two() -> None:
    made = store()
    lease = ok(made, "POST", LEASES, {"metadata": {"name": "byomesh"}, "spec": {"holderIdentity": ""}})
    ok(made, "PUT", f"{LEASES}/byomesh", {**lease, "spec": {"holderIdentity": "a"}})
    assert refused(made, "PUT", f"{LEASES}/byomesh", {**lease, "spec": {"holderIdentity": "b"}}) == (409, "Conflict")


def test_objects_need_their_namespace_and_their_kind() -> None:
    made = store()
    assert refused(made, "POST", MAPS.replace("default", "none"), {"metadata": {"name": "a"}}) == (404, "NotFound")
    assert refused(made, "GET", "/apis/none/v1/things") == (404, "NotFound")
    definition = {
        "metadata": {"name": "things.none"},
        "spec": {
            "group": "none",
            "names": {"plural": "things", "kind": "Thing"},
            "scope": "Namespaced",
            "versions": [{"name": "v1"}, {"name": "v0", "served": False}],
        },
    }
    ok(made, "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
    ok(made, "POST", "/apis/none/v1/namespaces/default/things", {"metadata": {"name": "a"}})
    assert resource_list(made.kinds, "/apis/none/v1") is not None
    assert resource_list(made.kinds, "/apis/none/v0") is None
    groups = [one["metadata"].get("name") for one in discovery(made.kinds, core=False)["items"]]
    assert {"apps", "none"} <= set(groups)
    assert [one["metadata"] for one in discovery(made.kinds, core=True)["items"]] == [{}]
    ok(made, "DELETE", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.none")
    assert refused(made, "GET", "/apis/none/v1/things") == (404, "NotFound")


def test_a_namespace_takes_what_is_in_it_along() -> None:
    made = store()
    ok(made, "POST", "/api/v1/namespaces", {"metadata": {"name": "a"}})
    assert ok(made, "GET", "/api/v1/namespaces/a/serviceaccounts/default")
    ok(made, "POST", "/api/v1/namespaces/a/secrets", {"metadata": {"name": "s"}})
    ok(made, "DELETE", "/api/v1/namespaces/a")
    assert [one for one in ok(made, "GET", "/api/v1/secrets")["items"] if one["metadata"]["namespace"] == "a"] == []


@pytest.mark.parametrize(
    ("labels", "fields", "found"),
    [
        ("", "", True),
        ("a=1", "", True),
        ("a=2", "", False),
        ("a!=2,b", "", True),
        ("!a", "", False),
        ("a in (1, 2),b==x", "type=t", True),
        ("a notin (1,2)", "", False),
        ("", "metadata.name=n", True),
        ("", "type=other", False),
    ],
)
def test_selectors(labels: str, fields: str, found: bool) -> None:
    obj = {"metadata": {"name": "n", "labels": {"a": "1", "b": "x"}}, "type": "t"}
    assert selected(obj, labels, fields) == found


def test_patches() -> None:
    there = {"a": [{"name": "x", "v": 1}, {"name": "y", "v": 2}], "b": {"c": 1, "d": 2}, "e": [1]}
    assert merged(there, {"b": {"c": None}, "e": [2]}) == {**there, "b": {"d": 2}, "e": [2]}
    assert strategic(there, {"a": [{"name": "y", "v": 3}, {"name": "z"}, {"name": "x", "$patch": "delete"}]})["a"] == [
        {"name": "y", "v": 3},
        {"name": "z"},
    ]
    assert applied(there, {"a": [{"name": "y", "w": 1}], "b": {"c": 3}}) == {
        **there,
        "a": [{"name": "y", "v": 2, "w": 1}],
        "b": {"c": 3, "d": 2},
    }
    operations: list[dict[str, Any]] = [
        {"op": "add", "path": "/a/-", "value": {"name": "z"}},
        {"op": "replace", "path": "/a/0/v", "value": 9},
        {"op": "remove", "path": "/a/1"},
        {"op": "test", "path": "/b/c", "value": 1},
        {"op": "add", "path": "/b/s~1t", "value": 1},
        {"op": "replace", "path": "/e/0", "value": 7},
        {"op": "test", "path": "/e/0", "value": 7},
        {"op": "remove", "path": "/b/d"},
    ]
    assert json_patched(there, operations) == {
        "a": [{"name": "x", "v": 9}, {"name": "z"}],
        "b": {"c": 1, "s/t": 1},
        "e": [7],
    }
    for path in ("/nowhere/x", "/b/c/1", "/e/5"):
        with pytest.raises(PatchError):
            json_patched(there, [{"op": "remove", "path": path}])
    for path in ("/b/c", "/e/0"):
        with pytest.raises(PatchError):
            json_patched(there, [{"op": "test", "path": path, "value": 2}])


def test_a_json_patch_holds_to_the_version_that_it_names() -> None:
    made = store()
    ok(made, "POST", MAPS, {"metadata": {"name": "a"}, "data": {}})
    check = {"op": "replace", "path": "/metadata/resourceVersion", "value": "0"}
    change = {"op": "add", "path": "/data/x", "value": "1"}
    assert refused(made, "PATCH", f"{MAPS}/a", [check, change], JSON) == (409, "Conflict")
    assert ok(made, "PATCH", f"{MAPS}/a", [change], JSON)["data"] == {"x": "1"}
    assert refused(made, "PATCH", f"{MAPS}/a", [{"op": "remove", "path": "/q"}], JSON) == (422, "Invalid")


@pytest.mark.parametrize("allowed", [True, False])
def test_warden_judges_pods(allowed: bool) -> None:
    made = store(net_admin=allowed)
    code, answer = made.answer("POST", "/api/v1/namespaces/default/pods", {"dryRun": "All"}, probe_pod({}))
    assert code == (201 if allowed else 403)
    assert allowed or "linux capability 'NET_ADMIN'" in answer["message"]


def test_a_deployment_runs_at_once_and_anew_when_its_template_changes() -> None:
    made = store()
    path = "/apis/apps/v1/namespaces/default/deployments/web"
    resources = {"requests": {"cpu": "500m", "memory": "512Mi"}}
    body = {
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "w:1", "resources": resources}]},
            },
        }
    }
    first = ok(made, "PATCH", path, body, APPLY)
    assert (first["status"]["readyReplicas"], first["status"]["observedGeneration"]) == (2, 1)
    pods = ok(made, "GET", "/api/v1/pods", labelSelector="app=web")["items"]
    assert [pod["status"]["phase"] for pod in pods] == ["Running"] * 2
    again = ok(made, "PATCH", path, {"spec": {"template": {"metadata": {"labels": {"v": "2"}}}}}, STRATEGIC)
    assert again["metadata"]["generation"] == again["status"]["observedGeneration"] == 2
    assert len(ok(made, "GET", "/api/v1/pods", labelSelector="v=2")["items"]) == 2
    assert len(ok(made, "GET", "/api/v1/pods", labelSelector="app=web")["items"]) == 2
    assert len(ok(made, "GET", "/apis/apps/v1/replicasets")["items"]) == 1


def test_a_service_keeps_its_address() -> None:
    made = store()
    path = "/api/v1/namespaces/default/services/web"
    first = ok(made, "PATCH", path, {"spec": {"ports": []}}, APPLY)["spec"]["clusterIP"]
    assert first.startswith("34.118.224.")
    assert ok(made, "PATCH", path, {"spec": {"ports": [{"port": 80}]}}, APPLY)["spec"]["clusterIP"] == first
    assert ok(made, "POST", path.rpartition("/")[0], {"metadata": {"name": "other"}})["spec"]["clusterIP"] != first


def field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2, len(data)]) + data


def envelope(kind: str, raw: bytes) -> bytes:
    return b"k8s\x00" + field(1, field(1, b"v1") + field(2, kind.encode())) + field(2, raw)


def test_a_secret_is_read_from_protobuf() -> None:
    metadata = field(1, b"n") + field(3, b"") + bytes([7 << 3, 5]) + field(11, field(1, b"k") + field(2, b"v"))
    raw = field(1, metadata) + field(2, field(1, b"release") + field(2, b"\xff")) + field(3, b"helm.sh/release.v1")
    assert secret(envelope("Secret", raw)) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "n", "labels": {"k": "v"}},
        "data": {"release": "/w=="},
        "type": "helm.sh/release.v1",
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"k8s\x00",
        b"k8s\x00\x0a\xff",
        envelope("Pod", b""),
        envelope("Secret", b"\x0b"),
        b"k8s\x00\x0d\x01\x01\x01\x01",
    ],
)
def test_what_is_no_secret_is_refused(body: bytes) -> None:
    with pytest.raises(ProtobufError):
        secret(body)


def test_a_store_by_itself_admits_everything() -> None:
    made = Store(clock=lambda: dt.datetime(2026, 5, 4, tzinfo=dt.UTC))
    made.put("/api/v1/namespaces/default", {})
    assert (
        ok(made, "POST", MAPS, {"metadata": {"name": "a"}})["metadata"]["creationTimestamp"] == "2026-05-04T00:00:00Z"
    )
    with pytest.raises(LookupError):
        made.put("/apis/none/v1/things/a", {})
