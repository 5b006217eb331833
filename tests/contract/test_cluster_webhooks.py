"""A real kube-apiserver asks the local cloud's identity and Warden, and takes GKE's pre-installed definitions."""

from __future__ import annotations

import dataclasses
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from byomesh.local import gateway_api, warden
from byomesh.local.authority import Authority
from byomesh.local.build import ensure_binaries
from byomesh.local.identity import Identity
from byomesh.local.kubernetes import ClusterSettings, ControlPlane, Webhook
from tests.contract.google_cloud import endpoint

INSTALLER = "installer@shop-prod.iam.gserviceaccount.com"
VERIFIER = "verifier@shop-prod.iam.gserviceaccount.com"
ENABLER = "enabler@shop-prod.iam.gserviceaccount.com"
CAPABLE = {"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A control plane whose webhooks are the local cloud's."""

    plane: ControlPlane
    identity: Identity
    guard: warden.Warden

    async def ask(
        self, email: str, method: str, path: str, body: Any = None, *, kind: str = "application/json"
    ) -> tuple[int, Any]:
        """A request as a service account; status and JSON."""
        token = self.identity.issue(email) if email else "guess"
        trust = ssl.create_default_context(cadata=self.plane.ca_pem.decode())
        headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session,
            session.request(method, f"https://{self.plane.endpoint}{path}", json=body, headers=headers) as response,
        ):
            return response.status, await response.json()


@pytest.fixture(scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    folder: Path = tmp_path_factory.mktemp("cluster")
    authority, guard = Authority.create("test cloud"), warden.Warden()
    identity = Identity(token_uri="")
    identity.add(INSTALLER, "cluster-admin")
    identity.add(VERIFIER, "cluster-viewer-and-patcher")
    identity.add(ENABLER)
    guard.guard("till", allow_net_admin=False)
    async with endpoint([*identity.routes(), *guard.routes()], authority) as base:
        settings = ClusterSettings(
            authentication=Webhook(f"{base}/iam/authenticate", authority.pem),
            authorization=Webhook(f"{base}/iam/authorize", authority.pem),
        )
        async with ControlPlane("till", folder, ensure_binaries(), settings) as plane, plane.client() as admin:
            configuration = warden.webhook_configuration(f"{base}/warden/till", authority.pem)
            for path, held in [
                ("/api/v1/namespaces", {"metadata": {"name": "linkerd"}}),
                ("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", configuration),
                *(
                    ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
                    for definition in gateway_api.definitions()
                ),
            ]:
                async with admin.post(path, json=held) as response:
                    assert response.status == 201, await response.text()
            made = Cluster(plane, identity, guard)
            await wait_for_warden(made)
            yield made


async def wait_for_warden(cluster: Cluster) -> None:
    """The API server learns of a new webhook a moment later."""
    for _ in range(100):
        status, _answer = await cluster.ask(INSTALLER, "POST", f"{PODS}?dryRun=All", pod(**CAPABLE))
        if status == 400:
            return
    raise AssertionError("the API server never asked Warden")


PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


def pod(**container: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "init", "image": "i", **container}]}}


def deployment(**container: Any) -> dict[str, Any]:
    labels = {"app": "d"}
    template = {"metadata": {"labels": labels}, "spec": pod(**container)["spec"]}
    return {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": labels}, "template": template}}


async def test_the_gateway_api_is_served(cluster: Cluster) -> None:
    path = "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes"
    route = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "r"},
        "spec": {"hostnames": ["shop.example"]},
    }
    status, answer = await cluster.ask(INSTALLER, "POST", path, route)
    assert (status, answer.get("spec")) == (201, {"hostnames": ["shop.example"]})


@pytest.mark.parametrize(
    ("email", "method", "path", "expected"),
    [
        ("", "GET", "/api/v1/pods", 401),
        (ENABLER, "GET", "/api/v1/pods", 403),
        (VERIFIER, "GET", "/api/v1/pods", 200),
        (VERIFIER, "GET", "/version", 200),
        (VERIFIER, "DELETE", "/api/v1/namespaces/linkerd/configmaps/none", 403),
        (INSTALLER, "DELETE", "/api/v1/namespaces/linkerd/configmaps/none", 404),
    ],
)
async def test_accounts_may_do_what_their_role_says(
    cluster: Cluster, email: str, method: str, path: str, expected: int
) -> None:
    assert (await cluster.ask(email, method, path))[0] == expected


async def test_the_verifier_applies_only_where_it_repairs(cluster: Cluster) -> None:
    kind = "application/apply-patch+yaml"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "b"}}
    statuses = []
    for namespace in ("linkerd", "default"):
        path = f"/api/v1/namespaces/{namespace}/configmaps/c?fieldManager=byomesh"
        statuses.append((await cluster.ask(VERIFIER, "PATCH", path, body, kind=kind))[0])
    assert statuses == [201, 403]


async def test_a_callers_name_and_group_are_its_accounts(cluster: Cluster) -> None:
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    status, answer = await cluster.ask(VERIFIER, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
    user = answer["status"]["userInfo"]
    assert (status, user["username"], user["groups"]) == (201, VERIFIER, ["system:authenticated"])


async def test_warden_refuses_net_admin_until_it_is_allowed(cluster: Cluster) -> None:
    for path, held in ((PODS, pod(**CAPABLE)), (DEPLOYMENTS, deployment(**CAPABLE))):
        cluster.guard.guard("till", allow_net_admin=False)
        status, refused = await cluster.ask(INSTALLER, "POST", f"{path}?dryRun=All", held)
        assert status == 400
        assert refused["reason"] == warden.REASON
        assert refused["message"].startswith(
            'admission webhook "warden-validating.common-webhooks.networking.gke.io" denied the request: GKE Warden '
            "rejected the request because it violates one or more constraints.\nViolations details: "
            '{"[denied by autogke-default-linux-capabilities]":["linux capability \'NET_ADMIN\' on container'
        )
        assert refused["message"].endswith(f"Requested by user: '{INSTALLER}', groups: 'system:authenticated'.")
        cluster.guard.guard("till", allow_net_admin=True)
        assert (await cluster.ask(INSTALLER, "POST", f"{path}?dryRun=All", held))[0] == 201


async def test_warden_leaves_managed_namespaces_alone(cluster: Cluster) -> None:
    cluster.guard.guard("till", allow_net_admin=False)
    path = "/apis/apps/v1/namespaces/kube-system/deployments?dryRun=All"
    held = deployment(securityContext={"privileged": True})
    assert (await cluster.ask(INSTALLER, "POST", path, held))[0] == 201
