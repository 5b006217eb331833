"""Which workloads use NET_ADMIN."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from shared.errors import Temporary
from shared.mesh.capable import Users, users

NET_ADMIN = {"securityContext": {"capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}}}


def pod(name: str, namespace: str = "shop", *, phase: str = "Running", owner: str = "", **spec: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": namespace}
    if owner:
        metadata["ownerReferences"] = [{"kind": "ReplicaSet", "name": f"{owner}-77", "controller": True}]
        metadata["labels"] = {"pod-template-hash": "77"}
    return {"metadata": metadata, "spec": {"containers": [{"name": "app"}], **spec}, "status": {"phase": phase}}


class Cluster:
    def __init__(self, *pages: list[dict[str, Any]] | bytes) -> None:
        self._pages = pages

    def list_raw(
        self, path: str, *, label_selector: str = "", field_selector: str = "", limit: int = 500
    ) -> Iterator[bytes]:
        assert (path, label_selector, field_selector, limit) == ("/api/v1/pods", "", "", 500)
        for page in self._pages:
            yield page if isinstance(page, bytes) else json.dumps({"items": page}).encode()


def test_workloads_with_the_capability_or_a_proxy_are_named_each_once() -> None:
    init = [{"name": "linkerd-init", **NET_ADMIN}]
    found = users(
        Cluster(
            [pod("web-77-a", owner="web", initContainers=init), pod("web-77-b", owner="web", initContainers=init)],
            [
                pod("plain", securityContext={"fsGroup": 1}),
                pod("proxied", "a", containers=[{"name": "linkerd-proxy", "securityContext": {"capabilities": {}}}]),
                pod("tuner", containers=[{"name": "x", **NET_ADMIN}]),
                pod("done", phase="Succeeded", containers=[{"name": "x", **NET_ADMIN}]),
                pod("other", containers=[{"name": "x", "securityContext": {"capabilities": {"add": ["NET_RAW"]}}}]),
            ],
            b'{"items": null}',
        )
    )
    assert found == Users(4, 3, ("Deployment shop/web", "Pod a/proxied", "Pod shop/tuner"))
    assert str(found) == "Deployment shop/web, Pod a/proxied, Pod shop/tuner"


def test_many_are_named_by_the_first_ten() -> None:
    found = users(Cluster([pod(f"p-{number:02}", containers=[{"name": "x", **NET_ADMIN}]) for number in range(13)]))
    assert (found.pods, found.count, len(found.workloads)) == (13, 13, 10)
    assert str(found).endswith("Pod shop/p-09 and 3 more")


def test_a_cluster_without_any_has_none() -> None:
    assert users(Cluster([pod("plain")])) == Users()


@pytest.mark.parametrize("page", [b"nonsense", b'{"items": [{"metadata": 3}]}', b'{"items": "\xff"}'])
def test_an_answer_that_cannot_be_read_is_temporary(page: bytes) -> None:
    with pytest.raises(Temporary, match="isn't shaped"):
        users(Cluster(page))
