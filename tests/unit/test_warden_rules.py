from __future__ import annotations

import json
from typing import Any

import pytest

from byomesh.local import gateway_api, warden
from byomesh.local.warden_rules import DEFAULT_CAPABILITIES, violations

ALLOWED = (
    "AUDIT_WRITE,CHOWN,DAC_OVERRIDE,FOWNER,FSETID,KILL,MKNOD,NET_BIND_SERVICE,"
    "NET_RAW,SETFCAP,SETGID,SETPCAP,SETUID,SYS_CHROOT,SYS_PTRACE"
)
MESHED = {
    "containers": [{"name": "web"}],
    "initContainers": [
        {"name": "linkerd-init", "securityContext": {"capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}}}
    ],
}
PLAIN = {"containers": [{"name": "web", "image": "web:1"}]}
OPERATOR = {"username": "ops@example.com", "groups": ["system:authenticated"]}


def capable(*names: str) -> dict[str, Any]:
    return {"containers": [{"name": "c", "securityContext": {"capabilities": {"add": list(names)}}}]}


def mounted(path: str, *, read_only: bool) -> dict[str, Any]:
    mount = {"name": "host", "mountPath": "/host", "readOnly": read_only}
    return {
        "volumes": [{"name": "host", "hostPath": {"path": path}}, {"name": "own", "emptyDir": {}}],
        "containers": [{"name": "c", "volumeMounts": [mount, {"name": "own", "mountPath": "/own"}]}],
    }


def review(kind: str, spec: dict[str, Any], operation: str = "CREATE", old: dict[str, Any] | None = None) -> Any:
    return {
        "uid": "u-1",
        "kind": {"group": "", "version": "v1", "kind": kind},
        "operation": operation,
        "userInfo": OPERATOR,
        "object": spec,
        "oldObject": old,
    }


def test_net_admin_is_refused_until_it_is_allowed() -> None:
    assert violations(MESHED, allow_net_admin=False) == {
        "autogke-default-linux-capabilities": [
            (
                "linux capability 'NET_ADMIN' on container 'linkerd-init' not allowed; "
                f"Autopilot only allows the capabilities: '{ALLOWED}'."
            )
        ]
    }
    assert violations(MESHED, allow_net_admin=True) == {}


def apart(*requests: str, required: bool = True) -> dict[str, Any]:
    kind = "required" if required else "preferred"
    terms = [{"topologyKey": "kubernetes.io/hostname"}]
    containers = [{"name": "c", "resources": {"requests": {"cpu": one} if one else {}}} for one in requests]
    sidecar = {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "400m"}}}
    affinity = {"podAntiAffinity": {f"{kind}DuringSchedulingIgnoredDuringExecution": terms}}
    return {"affinity": affinity, "containers": containers, "initContainers": [sidecar]}


def test_pods_that_keep_apart_must_request_half_a_cpu() -> None:
    assert violations(apart("100m", "150m"), allow_net_admin=True, workload="w") == {
        "autogke-pod-limit-constraints": [
            (
                "workload 'w' cpu requests '250m' is lower than the Autopilot minimum required of '500m' "
                "for using pod anti affinity."
            )
        ]
    }


@pytest.mark.parametrize(
    "spec",
    [apart("500m"), apart("0.5"), apart("400m", "100m"), apart("100m", ""), apart("100m", required=False), PLAIN],
)
def test_pods_that_request_it_or_only_prefer_to_be_apart_may_run(spec: dict[str, Any]) -> None:
    assert violations(spec, allow_net_admin=True) == {}


def test_the_workload_is_named_as_it_is_or_is_to_be_named() -> None:
    for metadata in ({"name": "w-1"}, {"generateName": "w-1"}):
        answer = warden.judge(review("Pod", {"metadata": metadata, "spec": apart("250m")}), allow_net_admin=True)
        assert "workload 'w-1' cpu requests '250m'" in answer["status"]["message"]


def test_the_default_capabilities_are_allowed() -> None:
    assert violations(capable(*DEFAULT_CAPABILITIES), allow_net_admin=False) == {}


@pytest.mark.parametrize("name", ["ALL", "SYS_ADMIN", "CAP_CHOWN", "BPF"])
def test_other_capabilities_never_are(name: str) -> None:
    (sentence,) = violations(capable(name, "CHOWN"), allow_net_admin=True)["autogke-default-linux-capabilities"]
    assert sentence.startswith(f"linux capability '{name}' on container 'c' not allowed;")


def test_refused_capabilities_of_a_container_share_a_sentence() -> None:
    (sentence,) = violations(capable("SYS_ADMIN", "BPF"), allow_net_admin=False)["autogke-default-linux-capabilities"]
    assert "'SYS_ADMIN,BPF'" in sentence


@pytest.mark.parametrize(
    ("spec", "constraint", "sentence"),
    [
        (
            {"hostNetwork": True, **PLAIN},
            "autogke-disallow-hostnamespaces",
            "enabling hostNetwork is not allowed in Autopilot.",
        ),
        ({"hostPID": True}, "autogke-disallow-hostnamespaces", "enabling hostPID is not allowed in Autopilot."),
        ({"hostIPC": True}, "autogke-disallow-hostnamespaces", "enabling hostIPC is not allowed in Autopilot."),
        (
            {"initContainers": [{"name": "cni", "securityContext": {"privileged": True}}]},
            "autogke-disallow-privilege",
            "container cni is privileged; not allowed in Autopilot",
        ),
        (
            {"containers": [{"name": "c", "ports": [{"hostPort": 53}, {"containerPort": 1}, {"hostPort": 54}]}]},
            "autogke-no-host-port",
            "container c specifies host ports [53 54], which are disallowed in Autopilot.",
        ),
        (
            mounted("/var/log/pods", read_only=False),
            "autogke-no-write-mode-hostpath",
            "hostPath volume host in container c is accessed in write mode; disallowed in Autopilot.",
        ),
        (
            mounted("/opt/cni/bin", read_only=True),
            "autogke-no-write-mode-hostpath",
            (
                "hostPath volume host used in container c uses path /opt/cni/bin which is not allowed in Autopilot. "
                "Allowed path prefixes for hostPath volumes are: [/var/log/]."
            ),
        ),
        (
            {"securityContext": {"sysctls": [{"name": "net.core.somaxconn"}, {"name": "net.ipv4.tcp_syncookies"}]}},
            "autogke-disallow-unsafe-sysctls",
            "sysctl net.core.somaxconn is unsafe; not allowed in Autopilot.",
        ),
    ],
)
def test_each_rule_says_what_it_found(spec: dict[str, Any], constraint: str, sentence: str) -> None:
    assert violations(spec, allow_net_admin=True) == {constraint: [sentence]}


@pytest.mark.parametrize(
    "spec",
    [
        PLAIN,
        {},
        {"containers": None, "volumes": None},
        mounted("/var/log", read_only=True),
        mounted("/var/log/pods", read_only=True),
        {"containers": [{"name": "c", "securityContext": None, "ports": [{"containerPort": 80}]}]},
    ],
)
def test_harmless_pods_pass(spec: dict[str, Any]) -> None:
    assert violations(spec, allow_net_admin=False) == {}


@pytest.mark.parametrize("kind", sorted(warden.POD_SPEC))
def test_every_kind_that_carries_a_pod_is_judged(kind: str) -> None:
    held: dict[str, Any] = MESHED
    for part in reversed(warden.POD_SPEC[kind]):
        held = {part: held}
    assert not warden.judge(review(kind, held), allow_net_admin=False)["allowed"]
    assert warden.judge(review(kind, held), allow_net_admin=True) == {"uid": "u-1", "allowed": True}


def test_a_denial_is_in_wardens_words() -> None:
    answer = warden.judge(review("Pod", {"spec": {**MESHED, "hostPID": True}}), allow_net_admin=False)
    assert answer["status"]["reason"] == "GKE Warden constraints violations"
    message = answer["status"]["message"]
    assert message == (
        "GKE Warden rejected the request because it violates one or more constraints.\n"
        'Violations details: {"[denied by autogke-default-linux-capabilities]":["linux capability \'NET_ADMIN\' on '
        "container 'linkerd-init' not allowed; Autopilot only allows the capabilities: '" + ALLOWED + "'.\"],"
        '"[denied by autogke-disallow-hostnamespaces]":["enabling hostPID is not allowed in Autopilot."]}\n'
        "Requested by user: 'ops@example.com', groups: 'system:authenticated'."
    )
    details = message.split("\n")[1].removeprefix("Violations details: ")
    assert len(json.loads(details)) == 2


def test_an_update_is_judged_by_what_it_changes() -> None:
    bad, good = {"spec": MESHED}, {"spec": PLAIN}
    assert warden.judge(review("Pod", bad, "UPDATE", bad), allow_net_admin=False)["allowed"]
    assert not warden.judge(review("Pod", bad, "UPDATE", good), allow_net_admin=False)["allowed"]
    assert warden.judge(review("Pod", good, "UPDATE", bad), allow_net_admin=False)["allowed"]


def test_what_carries_no_pod_passes() -> None:
    assert warden.judge(review("ConfigMap", {"data": {}}), allow_net_admin=False)["allowed"]
    assert warden.judge(review("Deployment", {"spec": {}}), allow_net_admin=False)["allowed"]


def test_the_configuration_fails_closed_and_spares_managed_namespaces() -> None:
    (webhook,) = warden.webhook_configuration("https://127.0.0.1:1/warden/c", b"PEM")["webhooks"]
    assert webhook["name"] == "warden-validating.common-webhooks.networking.gke.io"
    assert webhook["failurePolicy"] == "Fail"
    assert webhook["sideEffects"] == "None"
    assert webhook["clientConfig"] == {"url": "https://127.0.0.1:1/warden/c", "caBundle": "UEVN"}
    assert "kube-system" in webhook["namespaceSelector"]["matchExpressions"][0]["values"]
    judged = {resource for rule in webhook["rules"] for resource in rule["resources"]}
    assert {"pods", "deployments", "daemonsets", "cronjobs"} <= judged


def test_the_gateway_api_has_the_routes_that_linkerd_looks_for() -> None:
    served = {
        definition["metadata"]["name"]: {version["name"] for version in definition["spec"]["versions"]}
        for definition in gateway_api.definitions()
    }
    assert {"v1", "v1beta1"} == served["httproutes.gateway.networking.k8s.io"]
    assert "v1" in served["grpcroutes.gateway.networking.k8s.io"]
    for definition in gateway_api.definitions():
        assert sum(version["storage"] for version in definition["spec"]["versions"]) == 1
        assert not any("linkerd" in key for key in definition["metadata"]["annotations"])
