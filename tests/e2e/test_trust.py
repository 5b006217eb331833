"""Trust from a pool of Certificate Authority Service: a mesh that ends Ready with it, and three steps of rotation."""

from __future__ import annotations

import base64
import json
from typing import Any

from shared.kube import Kube
from shared.mesh.linkerd.certificates import certificate_of, certificates_of
from tests.e2e.cloud import INSTALLED_ONCE, Cloud

LINKERD = "/api/v1/namespaces/linkerd"


def test_a_pool_of_cas_vouches_for_a_mesh_and_is_rotated_in_three_steps(down_cloud: Cloud) -> None:
    cloud = down_cloud
    cloud.up("--ca-service", "--pace", "20")
    name = cloud.create("trusted")
    identity_is_green(cloud.ready("trusted"))
    assert cloud.revisions("trusted") == INSTALLED_ONCE
    with cloud.kube("trusted") as api:
        first = issuer(api)
        (old,) = trusted(api)
        certificate_of(first, "it").verify_directly_issued_by(old)
        variables = environment(cloud)
        status = rotate(cloud, "status", name, code=0)
        assert status["next_step"] == "begin"
        assert [one["signs"] for one in status["anchors"]] == [True]

        assert [one["cluster"] for one in step(cloud, "begin", name)["queue"]] == [name]
        cloud.until(lambda: len(trusted(api)) == 2, "both anchors to be trusted")
        assert issuer(api) == first
        settled(cloud, name)
        # The step that is done is not done again.
        assert step(cloud, "begin", name)["done"]

        cloud.until(
            lambda: rotate(cloud, "status", name, code=3)["clusters"][0]["trusts_all"], "all proxies to trust both"
        )
        step(cloud, "move", name)
        cloud.until(lambda: issuer(api) != first, "the issuer to move")
        new = next(one for one in trusted(api) if one != old)
        certificate_of(issuer(api), "it").verify_directly_issued_by(new)
        settled(cloud, name)

        # The last certificate of the old issuer may be shown for a day: the command waits, and so does the cluster.
        held = cloud.run("rotate-anchor", "finish", name, "--yes", **variables)
        assert held.code == 3
        assert "the old trust anchor stays until 20" in held.err
        step(cloud, "finish", name, "--without-looking")
        said = cloud.until(
            lambda: [one for one in cloud.statuses("trusted") if "the old trust anchor stays until" in one["message"]],
            "the cluster to say what it waits for",
        )
        assert said[-1]["phase"] == "Verifying"
        settled(cloud, name)
        assert len(trusted(api)) == 2
        assert [one["signs"] for one in rotate(cloud, "status", name, code=3)["anchors"]] == [True]


def environment(cloud: Cloud) -> dict[str, str]:
    """What an operator of this cloud has in the environment."""
    found: dict[str, str] = cloud.json("env")
    return found


def rotate(cloud: Cloud, *arguments: str, code: int) -> Any:
    ran = cloud.run("rotate-anchor", *arguments, "-o", "json", **environment(cloud))
    assert ran.code == code, f"{arguments} ended with {ran.code}: {ran.out}{ran.err}"
    return json.loads(ran.out)


def step(cloud: Cloud, *arguments: str) -> Any:
    return rotate(cloud, *arguments, "--yes", code=0)


def settled(cloud: Cloud, name: str) -> None:
    """Wait until everything that was queued has ended well, the last word being that the mesh is ready."""

    def over() -> dict[str, Any]:
        said = cloud.statuses(name.rpartition("/")[2])
        return said[-1] if said[-1]["phase"] == "Ready" else {}

    identity_is_green(cloud.until(over, f"{name} to be Ready again"))


def identity_is_green(status: dict[str, Any]) -> None:
    assert status["phase"] == "Ready"
    assert status["checks"]["failing"] == []


def trusted(api: Kube) -> list[Any]:
    roots = api.get(f"{LINKERD}/configmaps/linkerd-identity-trust-roots")
    assert roots is not None
    return certificates_of(roots["data"]["ca-bundle.crt"], "it")


def issuer(api: Kube) -> str:
    secret = api.get(f"{LINKERD}/secrets/linkerd-identity-issuer")
    assert secret is not None
    return base64.b64decode(secret["data"]["tls.crt"]).decode()
