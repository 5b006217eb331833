"""`byomesh demo-app` on a local cluster: without an injector, with it, beside things of others, and gone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from byomesh.demo.inventory import changes, resource_versions
from tests.e2e.cloud import PATIENCE, Cloud

WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
NAMESPACE = "/api/v1/namespaces/emojivoto"
FOUR = ["emoji", "vote-bot", "voting", "web"]


def test_the_demo_application_is_installed_meshed_and_removed_by_hand(shared_cloud: Cloud, tmp_path: Path) -> None:
    name = shared_cloud.create("by-hand")
    shared_cloud.ready(name)
    file = tmp_path / "kubeconfig"
    shared_cloud.local("kubeconfig", name, "--file", str(file))

    def command(word: str, *options: str, code: int = 0) -> Any:
        ran = shared_cloud.run("demo-app", word, "--kubeconfig", str(file), "-o", "json", *options)
        assert ran.code == code, ran.out + ran.err
        return json.loads(ran.out)

    patience = ("--timeout", str(PATIENCE))
    assert command("status", code=3)["installed"] is False
    with shared_cloud.kube(name) as api:
        path = f"{WEBHOOKS}/linkerd-proxy-injector-webhook-config"
        webhook = api.get(path)
        assert webhook is not None
        api.delete(path)
        plain = command("install", *patience)
        assert (plain["ready_deployments"], plain["meshed"], plain["unmeshed"]) == (4, 0, FOUR)
        assert "only the namespace's annotation is verified" in plain["message"]
        kept = {
            key: webhook["metadata"][key] for key in ("name", "labels", "annotations") if key in webhook["metadata"]
        }
        api.create(WEBHOOKS, {**webhook, "metadata": kept})
        shared_cloud.until(lambda: command("status")["injector_answers"], "the injector to answer again")
        meshed = command("install", *patience)
        assert (meshed["ready_deployments"], meshed["meshed"], meshed["restarted"]) == (4, 4, FOUR)
        before = resource_versions(api)
        again = command("install", *patience)
        assert (again["changed"], again["restarted"], again["meshed"]) == ([], [], 4)
        assert changes(before, resource_versions(api)) == []
        mine = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine", "namespace": "emojivoto"}}
        api.create(f"{NAMESPACE}/configmaps", mine)
        assert command("remove", *patience)["kept"] == ["ConfigMap emojivoto/mine"]
        shared_cloud.until(lambda: not list(api.list_items(f"{NAMESPACE}/pods")), "its pods to go")
        api.delete(f"{NAMESPACE}/configmaps/mine")
        assert command("remove", *patience) == {"done": True, "kept": [], "message": "nothing of it is left"}
        assert api.get(NAMESPACE) is None
        assert command("remove", *patience)["done"] is True
    shared_cloud.delete(name)
