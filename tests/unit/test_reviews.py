"""AdmissionReviews from bytes to bytes, and who is at an address, over objects in memory."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import json
from typing import Any

import pytest

from byomesh.local.inhabitants import reading
from byomesh.local.inhabitants.reviews import Reviews
from byomesh.local.inhabitants.whereabouts import Resident, Whereabouts
from tests.unit.test_injector import ANCHORS, ENABLED, VALUES, Json, applied, container, environment, pod

LINKERD = "/api/v1/namespaces/linkerd"
SHOP = "/api/v1/namespaces/shop"
SLICES = (
    "/apis/discovery.k8s.io/v1/namespaces/linkerd/endpointslices"
    "?labelSelector=kubernetes.io%2Fservice-name%3Dlinkerd-proxy-injector"
)
ADDRESSED = "/api/v1/services?fieldSelector=spec.clusterIP%3D34.118.224.9"


class Memory(reading.Reader):
    """Objects by path."""

    def __init__(self, objects: dict[str, Json]) -> None:
        self.objects = objects

    async def get(self, path: str) -> Json | None:
        return self.objects.get(path)

    async def create(self, path: str, body: Json) -> None:
        if f"{path}/none" in self.objects:
            raise reading.ReadingError("the namespace is going")
        self.objects[f"{path}/{body['metadata']['name']}"] = body


@pytest.fixture
def memory() -> Memory:
    return Memory(
        {
            f"{LINKERD}/configmaps/linkerd-config": {"data": {"values": json.dumps(VALUES)}},
            f"{LINKERD}/configmaps/linkerd-identity-trust-roots": {"data": {"ca-bundle.crt": ANCHORS}},
            SHOP: {"metadata": {"name": "shop", "annotations": ENABLED}},
            "/apis/apps/v1/namespaces/shop/replicasets/web-1": owned_by("Deployment", "web"),
            "/apis/apps/v1/namespaces/shop/replicasets/canary-1": owned_by("Rollout", "canary"),
            "/apis/batch/v1/namespaces/shop/jobs/nightly-1": owned_by("CronJob", "nightly"),
        }
    )


def owned_by(kind: str, name: str) -> Json:
    reference = {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": f"uid of {name}"}
    return {"metadata": {"ownerReferences": [reference]}}


async def answered(memory: Memory, body: Any, service: str = "linkerd-proxy-injector", **more: Any) -> Json:
    """The answer to a review of a new pod, once nothing of it is under way."""
    request = {"uid": "u1", "namespace": "shop", "kind": {"kind": "Pod"}, "object": body, **more}
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    reviews = Reviews(memory)
    response = await reviews.answer(service, "linkerd", json.dumps(review).encode())
    for _ in range(3):
        await asyncio.sleep(0)
    await reviews.close()
    assert isinstance(response.body, bytes)
    assert response.status == 200
    answer: Json = json.loads(response.body)
    assert (answer["apiVersion"], answer["response"]["uid"]) == ("admission.k8s.io/v1", "u1")
    return answer["response"]  # type: ignore[no-any-return]


def patched(body: Json, response: Json) -> Json:
    assert (response["allowed"], response["patchType"]) == (True, "JSONPatch")
    return applied(body, json.loads(base64.b64decode(response["patch"])))


@pytest.mark.parametrize(
    ("owner", "label"),
    [
        (("ReplicaSet", "web-1"), ("deployment", "web")),
        (("ReplicaSet", "canary-1"), ("replicaset", "canary-1")),
        (("ReplicaSet", "gone"), ("replicaset", "gone")),
        (("Job", "nightly-1"), None),
        (("StatefulSet", "db"), ("statefulset", "db")),
        (("Node", "n1"), None),
        (None, None),
    ],
)
async def test_a_meshed_pod_is_labelled_by_what_owns_it(
    memory: Memory, owner: tuple[str, str] | None, label: tuple[str, str] | None
) -> None:
    body = pod()
    if owner:
        body["metadata"] |= owned_by(*owner)["metadata"]
    labels = patched(body, await answered(memory, body))["metadata"]["labels"]
    found = {name.removeprefix("linkerd.io/proxy-"): value for name, value in labels.items() if "/proxy-" in name}
    assert found == (dict([label]) if label else {})


@pytest.mark.parametrize(
    ("annotations", "reason", "message"),
    [
        ({}, "Injected", "Linkerd sidecar proxy injected"),
        (
            {"linkerd.io/inject": "disabled"},
            "InjectionSkipped",
            'Linkerd sidecar proxy injection skipped: pod has the annotation "linkerd.io/inject:disabled"',
        ),
    ],
)
async def test_its_owner_is_told_what_became_of_it(
    memory: Memory, annotations: dict[str, str], reason: str, message: str
) -> None:
    body = pod(annotations)
    body["metadata"] |= owned_by("ReplicaSet", "web-1")["metadata"]
    await answered(memory, body, dryRun=True)
    assert not any("/events/" in path for path in memory.objects)
    for _ in range(2):
        await answered(memory, body)
    (event,) = [one for path, one in memory.objects.items() if path.startswith(f"{SHOP}/events/")]
    assert (event["reason"], event["message"]) == (reason, message)
    assert (event["involvedObject"]["kind"], event["involvedObject"]["uid"]) == ("Deployment", "uid of web")


async def test_an_event_that_is_refused_keeps_no_pod_out(memory: Memory) -> None:
    memory.objects[f"{SHOP}/events/none"] = {}
    body = pod()
    body["metadata"] |= owned_by("ReplicaSet", "web-1")["metadata"]
    assert (await answered(memory, body))["allowed"]


async def test_a_pod_that_is_left_alone_gets_no_patch(memory: Memory) -> None:
    assert await answered(memory, pod({"linkerd.io/inject": "disabled"})) == {"uid": "u1", "allowed": True}


async def test_values_that_cannot_be_used_deny_the_pod(memory: Memory) -> None:
    config = memory.objects[f"{LINKERD}/configmaps/linkerd-config"]
    for values, said in (
        (json.dumps({**VALUES, "clusterNetworks": "10.0.0.0"}), "cannot parse destination get networks: "),
        ("{", "the values of linkerd-config are no YAML: "),
        ("[]", "the values of linkerd-config are no mapping"),
    ):
        config["data"]["values"] = values
        response = await answered(memory, pod())
        assert (response["allowed"], response["status"]["message"].startswith(said)) == (False, True)


async def test_what_is_mounted_outlives_its_config_map(memory: Memory) -> None:
    reviews = Reviews(memory)
    request = {"uid": "u", "namespace": "shop", "kind": {"kind": "Pod"}, "object": pod()}
    body = json.dumps({"request": request}).encode()

    async def allowed(one: Reviews) -> bool:
        answer = await one.answer("linkerd-proxy-injector", "linkerd", body)
        assert isinstance(answer.body, bytes)
        return bool(json.loads(answer.body)["response"]["allowed"])

    assert await allowed(reviews)
    for name in ("linkerd-config", "linkerd-identity-trust-roots"):
        del memory.objects[f"{LINKERD}/configmaps/{name}"]
    assert await allowed(reviews)
    assert not await allowed(Reviews(memory))


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"request": {}}', b'{"request": 1}', b"\xff"])
async def test_what_is_no_review_is_a_bad_request(memory: Memory, body: bytes) -> None:
    response = await Reviews(memory).answer("linkerd-proxy-injector", "linkerd", body)
    assert (response.status, response.text) == (400, "invalid admission review request")


@pytest.mark.parametrize("service", ["linkerd-sp-validator", "linkerd-policy-validator"])
async def test_validators_allow(memory: Memory, service: str) -> None:
    assert await answered(memory, {"spec": {}}, service) == {"uid": "u1", "allowed": True}
    # What is deleted has no object.
    assert await answered(memory, None, service) == {"uid": "u1", "allowed": True}


async def test_tap_is_told_by_its_own_argument(memory: Memory) -> None:
    arguments = ["injector", "-tap-service-name=tap.viz.serviceaccount"]
    spec = {"template": {"spec": {"containers": [{"args": arguments}, {"name": "bare"}]}}}
    memory.objects["/apis/apps/v1/namespaces/linkerd/deployments/tap-injector"] = {"spec": spec}
    body = pod()
    meshed = patched(body, await answered(memory, body))
    tapped = patched(meshed, await answered(memory, meshed, "tap-injector"))
    assert environment(tapped)["LINKERD2_PROXY_TAP_SVC_NAME"] == "tap.viz.serviceaccount"
    assert container(tapped)["restartPolicy"] == "Always"


@pytest.fixture
def town() -> Memory:
    """A Service with a ready pod and a certificate."""
    encoded = base64.b64encode(b"pem").decode()
    service = {
        "metadata": {"name": "linkerd-proxy-injector", "namespace": "linkerd"},
        "spec": {"ports": [{"name": "injector", "port": 443}]},
    }
    ready = {"endpoints": [{"conditions": {"ready": True}}], "ports": [{"name": "injector", "port": 8443}]}
    return Memory(
        {
            ADDRESSED: {"items": [service]},
            SLICES: {"items": [ready]},
            f"{LINKERD}/secrets/linkerd-proxy-injector-k8s-tls": {"data": {"tls.crt": encoded, "tls.key": encoded}},
        }
    )


async def found(town: Memory, target: str = "34.118.224.9:443", blocked: tuple[int, ...] = ()) -> Resident | str | None:
    return await Whereabouts(town, ipaddress.IPv4Network("34.118.224.0/20"), blocked).find(target)


async def test_who_is_behind_a_cluster_ip(town: Memory) -> None:
    resident = await found(town)
    assert isinstance(resident, Resident)
    assert (resident.host, resident.certificate) == ("linkerd-proxy-injector.linkerd.svc", b"pem")
    assert "key=" not in repr(resident)


@pytest.mark.parametrize("target", ["34.118.224.8:443", "10.0.0.1:443", "node-1:10250", "[fd00::1]:443", "443"])
async def test_what_is_not_ours_is_left_to_others(town: Memory, target: str) -> None:
    assert await found(town, target) is None


async def test_why_nobody_answers(town: Memory) -> None:
    name = "linkerd/linkerd-proxy-injector"
    assert await found(town, blocked=(8443,)) == f"port 8443 of {name} is blocked by a firewall"
    assert await found(town, "34.118.224.9:80") == f"no pod of {name} is ready"
    del town.objects[f"{LINKERD}/secrets/linkerd-proxy-injector-k8s-tls"]
    assert await found(town) == "Secret linkerd/linkerd-proxy-injector-k8s-tls has no tls.crt and tls.key"
    town.objects[SLICES] = {"items": []}
    assert await found(town) == f"no pod of {name} is ready"
