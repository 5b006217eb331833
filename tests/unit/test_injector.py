"""The stand-in of Linkerd's injector: who gets a proxy, which one, and who doesn't and why."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from byomesh.local.inhabitants import injector
from byomesh.local.inhabitants.injector import Facts, InjectionError

Json = dict[str, Any]

VALUES: Json = yaml.safe_load(
    (Path(__file__).parents[1] / "charts" / "linkerd-control-plane" / "values.yaml").read_text()
)
ANCHORS = "-----BEGIN CERTIFICATE-----\nanchor\n-----END CERTIFICATE-----"
ENABLED = {"linkerd.io/inject": "enabled"}
TOKEN = {"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": True}


def facts(namespace: dict[str, str] | None = None, **values: Any) -> Facts:
    """The stand-in chart's values, with changes at dotted paths written with two underscores."""
    changed = copy.deepcopy(VALUES)
    for name, value in values.items():
        *parents, last = name.split("__")
        inner = changed
        for key in parents:
            inner = inner[key]
        inner[last] = value
    return Facts(
        control_plane="linkerd",
        values=changed,
        anchors=ANCHORS,
        namespace_annotations=namespace or {},
        owner=("deployment", "web"),
    )


def pod(annotations: dict[str, str] | None = None, **spec: Any) -> Json:
    main = {"name": "main", "image": "example/main:1", "volumeMounts": [TOKEN]}
    made: Json = {"metadata": {"generateName": "web-"}, "spec": {"containers": [main], **spec}}
    if annotations:
        made["metadata"]["annotations"] = annotations
    return made


def asked(body: Json, kind: str = "Pod") -> Json:
    return {"uid": "u", "namespace": "shop", "kind": {"kind": kind}, "object": body}


def applied(body: Json, patch: list[Json]) -> Json:
    """The object after a patch of `add` operations (RFC 6902)."""
    result = copy.deepcopy(body)
    for operation in patch:
        assert operation["op"] == "add"
        *parents, last = (
            part.replace("~1", "/").replace("~0", "~") for part in operation["path"].removeprefix("/").split("/")
        )
        inner: Any = result
        for key in parents:
            inner = inner[int(key)] if isinstance(inner, list) else inner[key]
        if isinstance(inner, list):
            inner.insert(len(inner) if last == "-" else int(last), operation["value"])
        else:
            inner[last] = copy.deepcopy(operation["value"])
    return result


def injected(annotations: dict[str, str] | None = None, known: Facts | None = None, **spec: Any) -> Json:
    body = pod({**ENABLED, **(annotations or {})}, **spec)
    return applied(body, injector.patch(asked(body), known or facts()))


def container(found: Json, name: str = "linkerd-proxy") -> Json:
    spec = found["spec"]
    return next(one for one in [*spec.get("initContainers", ()), *spec["containers"]] if one["name"] == name)


def environment(found: Json) -> dict[str, Any]:
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container(found)["env"]}


def test_a_pod_gets_a_native_sidecar_before_its_own_init_containers() -> None:
    found = injected(initContainers=[{"name": "migrate", "image": "example/migrate:1"}])
    assert [one["name"] for one in found["spec"]["initContainers"]] == ["linkerd-init", "linkerd-proxy", "migrate"]
    assert [one["name"] for one in found["spec"]["containers"]] == ["main"]
    proxy, init = container(found), container(found, "linkerd-init")
    assert (proxy["image"], proxy["imagePullPolicy"], proxy["restartPolicy"]) == (
        "cr.l5d.io/linkerd/proxy:edge-26.6.3",
        "IfNotPresent",
        "Always",
    )
    assert proxy["startupProbe"]["httpGet"] == {"path": "/ready", "port": 4191}
    assert proxy["readinessProbe"]["httpGet"] == {"path": "/ready", "port": 4191}
    assert proxy["securityContext"]["runAsUser"] == 2102
    assert "lifecycle" not in proxy
    assert "restartPolicy" not in init
    assert init["securityContext"]["capabilities"] == {"add": ["NET_ADMIN", "NET_RAW"]}
    assert init["args"][:5] == [
        "--firewall-bin-path",
        "iptables-nft",
        "--firewall-save-bin-path",
        "iptables-nft-save",
        "--ipv6=false",
    ]
    assert [one["name"] for one in found["spec"]["volumes"]] == [
        "linkerd-proxy-init-xtables-lock",
        "linkerd-identity-end-entity",
        "linkerd-identity-token",
    ]


def test_what_marks_a_meshed_pod() -> None:
    found = injected()
    assert found["metadata"]["labels"] == {
        "linkerd.io/control-plane-ns": "linkerd",
        "linkerd.io/proxy-deployment": "web",
        "linkerd.io/workload-ns": "shop",
    }
    assert found["metadata"]["annotations"] == {
        "linkerd.io/inject": "enabled",
        "linkerd.io/created-by": "linkerd/proxy-injector edge-26.6.3",
        "linkerd.io/proxy-version": "edge-26.6.3",
        "linkerd.io/trust-root-sha256": hashlib.sha256(ANCHORS.encode()).hexdigest(),
    }


def test_what_its_proxy_is_told() -> None:
    told = environment(injected(known=facts(clusterNetworks="10.0.0.0/8,34.118.224.0/20")))
    assert told["LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS"] == "10.0.0.0/8,34.118.224.0/20"
    assert told["LINKERD2_PROXY_POLICY_CLUSTER_NETWORKS"] == "10.0.0.0/8,34.118.224.0/20"
    assert told["LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS"] == f"{ANCHORS}\n"
    assert told["LINKERD2_PROXY_DESTINATION_SVC_ADDR"] == "linkerd-dst-headless.linkerd.svc.cluster.local.:8086"
    assert told["LINKERD2_PROXY_INBOUND_IPS"] == {"fieldRef": {"fieldPath": "status.podIPs"}}
    assert told["LINKERD2_PROXY_IDENTITY_LOCAL_NAME"] == (
        "$(_pod_sa).$(_pod_ns).serviceaccount.identity.linkerd.cluster.local"
    )


@pytest.mark.parametrize(
    ("spec", "values", "reason"),
    [
        ({"hostNetwork": True}, {}, "hostNetwork is enabled"),
        ({"initContainers": [{"name": "linkerd-proxy"}]}, {}, "pod has a sidecar injected already"),
        ({"containers": [{"name": "istio-proxy"}]}, {}, "pod has a sidecar injected already"),
        ({"containers": [{"image": "cr.l5d.io/linkerd/proxy:1"}]}, {}, "pod has a sidecar injected already"),
        ({"initContainers": [{"name": "linkerd-init"}]}, {}, "pod has a sidecar injected already"),
        (
            {"automountServiceAccountToken": False, "containers": [{"name": "main"}]},
            {"identity__serviceAccountTokenProjection": False},
            (
                'automountServiceAccountToken set to "false", '
                'with Values.identity.serviceAccountTokenProjection set to "false"'
            ),
        ),
    ],
)
def test_what_keeps_an_annotated_pod_out(spec: Json, values: Json, reason: str) -> None:
    body, known = pod(ENABLED, **spec), facts(**values)
    assert injector.skipped(body, known) == (reason,)
    assert injector.patch(asked(body), known) == []


NEITHER = 'neither the namespace nor the pod have the annotation "linkerd.io/inject:enabled"'


@pytest.mark.parametrize(
    ("namespace", "own", "reasons"),
    [
        ("", "", (NEITHER,)),
        ("", "enabled", ()),
        ("", "ingress", ()),
        ("", "disabled", (NEITHER,)),
        ("enabled", "", ()),
        ("enabled", "enabled", ()),
        ("enabled", "disabled", ('pod has the annotation "linkerd.io/inject:disabled"',)),
        ("ingress", "", ()),
        ("disabled", "", (NEITHER,)),
        ("disabled", "enabled", ()),
        ("yes", "enabled", ('invalid value for annotation "linkerd.io/inject" at namespace',)),
        ("enabled", "true", ('invalid value for annotation "linkerd.io/inject" at workload',)),
    ],
)
def test_annotations_of_pod_and_namespace_decide(namespace: str, own: str, reasons: tuple[str, ...]) -> None:
    name = "linkerd.io/inject"
    body = pod({name: own} if own else None)
    known = facts({name: namespace} if namespace else None)
    assert injector.skipped(body, known) == reasons
    assert bool(injector.patch(asked(body), known)) is not bool(reasons)


def test_all_reasons_are_told() -> None:
    body = pod(hostNetwork=True, initContainers=[{"name": "linkerd-init"}])
    assert injector.skipped(body, facts()) == ("hostNetwork is enabled", "pod has a sidecar injected already", NEITHER)


@pytest.mark.parametrize("text", ["10.0.0.0/8", "10.1.2.3/8,fd00::/8", ",10.0.0.0/8,", "", "0.0.0.0/0,::/0"])
def test_networks_that_can_be_read(text: str) -> None:
    assert environment(injected(known=facts(clusterNetworks=text)))["LINKERD2_PROXY_POLICY_CLUSTER_NETWORKS"] == text


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        ("10.0.0.0/8, 34.118.224.0/20", " 34.118.224.0/20"),
        ("10.0.0.0/8,,fd00::/8", ""),
        (",", ""),
        ("10.0.0.0", "10.0.0.0"),
        ("10.0.0.0/33", "10.0.0.0/33"),
        ("10.0.0/8", "10.0.0/8"),
        ("10.0.0.0/255.0.0.0", "10.0.0.0/255.0.0.0"),
        ("fe80::1%eth0/64", "fe80::1%eth0/64"),
        ("fd00::/129", "fd00::/129"),
        ("10.0.0.0/-1", "10.0.0.0/-1"),
    ],
)
def test_networks_that_cannot_be_read_deny_the_pod(text: str, bad: str) -> None:
    with pytest.raises(InjectionError) as raised:
        injected(known=facts(clusterNetworks=text))
    assert str(raised.value) == f"cannot parse destination get networks: invalid CIDR address: {bad}"
