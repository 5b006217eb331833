"""What annotations of a pod and its namespace, and the chart's values, change in an injected proxy."""

from __future__ import annotations

from typing import Any

import pytest

from byomesh.local.inhabitants import injector
from byomesh.local.inhabitants.injector import InjectionError
from tests.unit.test_injector import (
    ANCHORS,
    ENABLED,
    TOKEN,
    Json,
    applied,
    asked,
    container,
    environment,
    facts,
    injected,
    pod,
)

CONFIG = "config.linkerd.io/"
P = "LINKERD2_PROXY_"


@pytest.mark.parametrize(
    ("annotation", "value", "variable", "expected"),
    [
        ("proxy-log-level", "debug", "LOG", "debug,[{headers}]=off,[{request}]=off"),
        ("proxy-log-http-headers", "insecure", "LOG", ""),
        ("proxy-log-format", "json", "LOG_FORMAT", "json"),
        ("control-port", "4990", "CONTROL_LISTEN_ADDR", "0.0.0.0:4990"),
        ("inbound-port", "4943", "INBOUND_LISTEN_ADDR", "0.0.0.0:4943"),
        ("outbound-port", "4940", "OUTBOUND_LISTEN_ADDRS", "127.0.0.1:4940"),
        ("admin-port", "4991", "ADMIN_LISTEN_ADDR", "0.0.0.0:4991"),
        ("admin-port", "none", "ADMIN_LISTEN_ADDR", "0.0.0.0:4191"),
        ("proxy-require-identity-inbound-ports", "80", "INBOUND_PORTS_REQUIRE_IDENTITY", "80"),
        ("proxy-admin-shutdown", "enabled", "SHUTDOWN_ENDPOINT_ENABLED", "true"),
        ("proxy-admin-shutdown", "true", "SHUTDOWN_ENDPOINT_ENABLED", "false"),
        ("proxy-outbound-connect-timeout", "1m2.5s", "OUTBOUND_CONNECT_TIMEOUT", "62500ms"),
        ("proxy-inbound-connect-timeout", "soon", "INBOUND_CONNECT_TIMEOUT", None),
        ("proxy-outbound-discovery-cache-unused-timeout", "1500ms", "OUTBOUND_DISCOVERY_IDLE_TIMEOUT", "1s"),
        ("proxy-disable-inbound-protocol-detect-timeout", "t", "INBOUND_DETECT_TIMEOUT", "365d"),
        ("shutdown-grace-period", "2m", "SHUTDOWN_GRACE_PERIOD", "120000ms"),
        ("enable-gateway", "true", "INBOUND_GATEWAY_SUFFIXES", "svc.cluster.local."),
        ("enable-external-profiles", "1", "DESTINATION_PROFILE_SUFFIXES", "."),
        ("enable-external-profiles", "yes", "DESTINATION_PROFILE_SUFFIXES", "svc.cluster.local."),
        ("proxy-cpu-request", "1500m", "CORES_MIN", "2"),
        ("proxy-cpu-ratio-limit", "0.5", "CORES_MAX_RATIO", "0.5"),
        ("proxy-cpu-ratio-limit", "1.5", "CORES_MAX_RATIO", None),
        ("default-inbound-policy", "deny", "INBOUND_DEFAULT_POLICY", "deny"),
        ("default-inbound-policy", "allow", "INBOUND_DEFAULT_POLICY", "all-unauthenticated"),
        ("access-log", "apache", "ACCESS_LOG", "apache"),
        ("proxy-metrics-hostname-labels", "true", "OUTBOUND_METRICS_HOSTNAME_LABELS", "true"),
        ("opaque-ports", "80,db, 90-92,100-99,", "INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION", "80,5432,90-92"),
    ],
)
def test_an_annotation_changes_what_the_proxy_is_told(
    annotation: str, value: str, variable: str, expected: str | None
) -> None:
    ports = [{"containerPort": 5432, "name": "db"}]
    main = {"name": "main", "image": "example/main:1", "ports": ports}
    told = environment(injected({f"{CONFIG}{annotation}": value}, containers=[main]))
    assert told.get(f"{P}{variable}") == expected


def test_an_ingress_has_a_mode_of_its_own() -> None:
    assert environment(injected({"linkerd.io/inject": "ingress"}))[f"{P}INGRESS_MODE"] == "true"


def test_image_and_version_can_be_another() -> None:
    found = injected(
        {
            f"{CONFIG}proxy-image": "example.com/proxy",
            f"{CONFIG}proxy-version": "edge-26.8.4",
            f"{CONFIG}image-pull-policy": "Always",
        }
    )
    for name in ("linkerd-proxy", "linkerd-init"):
        one = container(found, name)
        assert (one["image"], one["imagePullPolicy"]) == ("example.com/proxy:edge-26.8.4", "Always")
    assert found["metadata"]["annotations"]["linkerd.io/proxy-version"] == "edge-26.8.4"


def test_requests_and_limits_come_from_values_and_annotations() -> None:
    known = facts(proxy__resources={"cpu": {"request": "100m", "limit": ""}, "memory": {"request": "20Mi"}})
    found = injected({f"{CONFIG}proxy-memory-limit": "250Mi", f"{CONFIG}proxy-cpu-request": "a lot"}, known)
    expected = {"limits": {"memory": "250Mi"}, "requests": {"cpu": "100m", "memory": "20Mi"}}
    assert container(found)["resources"] == expected
    assert container(found, "linkerd-init")["resources"] == expected
    assert "resources" not in container(injected())


def test_a_pod_takes_over_what_its_namespace_says_and_it_does_not() -> None:
    namespace = {
        **ENABLED,
        f"{CONFIG}proxy-cpu-request": "10m",
        f"{CONFIG}proxy-memory-request": "10Mi",
        f"{CONFIG}opaque-ports": "9000",
        f"{CONFIG}debug-image": "not inherited",
        "example.com/team": "shop",
    }
    body = pod({f"{CONFIG}proxy-cpu-request": "20m"})
    found = applied(body, injector.patch(asked(body), facts(namespace)))
    annotations = found["metadata"]["annotations"]
    assert {name: value for name, value in annotations.items() if not name.startswith("linkerd.io/")} == {
        f"{CONFIG}proxy-cpu-request": "20m",
        f"{CONFIG}proxy-memory-request": "10Mi",
        f"{CONFIG}opaque-ports": "9000",
    }
    assert annotations["linkerd.io/inject"] == "enabled"
    assert container(found)["resources"]["requests"] == {"cpu": "20m", "memory": "10Mi"}


@pytest.mark.parametrize(
    ("annotations", "first"),
    [({}, True), ({f"{CONFIG}proxy-await": "disabled"}, False), ({f"{CONFIG}proxy-await": "maybe"}, True)],
)
def test_a_proxy_that_is_not_native_is_a_container(annotations: dict[str, str], first: bool) -> None:
    native = {"config.beta.linkerd.io/proxy-enable-native-sidecar": "false"}
    found = injected({**native, **annotations}, initContainers=[{"name": "migrate", "image": "m"}])
    names = [one["name"] for one in found["spec"]["containers"]]
    assert names == (["linkerd-proxy", "main"] if first else ["main", "linkerd-proxy"])
    assert [one["name"] for one in found["spec"]["initContainers"]] == ["migrate", "linkerd-init"]
    proxy = container(found)
    assert "restartPolicy" not in proxy
    assert "startupProbe" not in proxy
    assert ("postStart" in proxy.get("lifecycle", {})) is first


def test_a_stable_annotation_wins_over_its_older_names() -> None:
    found = injected(
        {
            f"{CONFIG}proxy-enable-native-sidecar": "true",
            "config.beta.linkerd.io/proxy-enable-native-sidecar": "false",
            "config.alpha.linkerd.io/proxy-enable-native-sidecar": "false",
        }
    )
    assert container(found)["restartPolicy"] == "Always"


def test_a_proxy_waits_before_it_exits() -> None:
    name = "config.alpha.linkerd.io/proxy-wait-before-exit-seconds"
    lifecycle = container(injected({name: "5"}, facts(proxy__nativeSidecar=False, proxy__await=False)))["lifecycle"]
    assert lifecycle == {"preStop": {"exec": {"command": ["/bin/sleep", "5"]}}}


def test_additional_variables_are_merged_by_name() -> None:
    name = f"{CONFIG}proxy-additional-env"
    known = facts(
        {**ENABLED, name: '[{"name": "A", "value": "namespace"}, {"name": "B", "value": "namespace"}]'},
        proxy__additionalEnv=[{"name": "A", "value": "chart"}, {"name": "C", "value": "chart"}],
    )
    told = environment(injected({name: '[{"name": "B", "value": "pod"}]'}, known))
    assert {key: told[key] for key in "ABC"} == {"A": "namespace", "B": "pod", "C": "chart"}
    assert "A" not in environment(injected({name: "no JSON"}))


def test_a_debug_container_is_added_where_it_is_asked_for() -> None:
    image = {"name": "cr.l5d.io/linkerd/debug", "pullPolicy": "", "version": ""}
    known = facts(debugContainer={"image": image})
    found = injected({f"{CONFIG}enable-debug-sidecar": "true", f"{CONFIG}debug-image-version": "v2"}, known)
    assert container(found, "linkerd-debug")["image"] == "cr.l5d.io/linkerd/debug:v2"
    assert [one["name"] for one in injected()["spec"]["containers"]] == ["main"]


def test_the_first_containers_capabilities_hold_for_what_is_added() -> None:
    dropped = {"capabilities": {"drop": ["ALL", "NET_RAW"], "add": ["CHOWN"]}}
    found = injected(containers=[{"name": "main", "image": "m", "securityContext": dropped}])
    assert container(found)["securityContext"]["capabilities"] == {"add": ["CHOWN"], "drop": ["ALL", "NET_RAW"]}
    assert container(found, "linkerd-init")["securityContext"]["capabilities"] == {
        "add": ["NET_ADMIN", "NET_RAW", "CHOWN"],
        "drop": ["ALL"],
    }


def test_with_the_cni_plugin_a_validator_takes_linkerd_inits_place() -> None:
    found = injected(known=facts(cniEnabled=True))
    assert [one["name"] for one in found["spec"]["initContainers"]] == ["linkerd-network-validator", "linkerd-proxy"]
    assert "linkerd-proxy-init-xtables-lock" not in [one["name"] for one in found["spec"]["volumes"]]
    assert container(found, "linkerd-network-validator")["args"][4:8] == [
        "--connect-addr",
        "1.1.1.1:20001",
        "--listen-addr",
        "0.0.0.0:4140",
    ]


def test_linkerd_init_is_told_what_to_leave_alone() -> None:
    skips = {f"{CONFIG}skip-outbound-ports": "3306", f"{CONFIG}skip-subnets": "10.9.0.0/16", f"{CONFIG}proxy-gid": "7"}
    skips[f"{CONFIG}proxy-uid"] = "9"
    arguments = container(injected(skips, facts(proxyInit__iptablesMode="legacy")), "linkerd-init")["args"]
    assert arguments == [
        "--ipv6=false",
        *("--incoming-proxy-port", "4143", "--outgoing-proxy-port", "4140"),
        *("--proxy-uid", "9", "--proxy-gid", "7"),
        *("--inbound-ports-to-ignore", "4190,4191,4567,4568"),
        *("--outbound-ports-to-ignore", "3306", "--subnets-to-ignore", "10.9.0.0/16"),
    ]


def test_values_that_the_templates_refuse_deny_the_pod() -> None:
    with pytest.raises(InjectionError, match=r'Unsupported value "bpf" for proxyInit\.iptablesMode'):
        injected(known=facts(proxyInit__iptablesMode="bpf"))
    with pytest.raises(InjectionError, match=r"proxyInit\.runAsRoot must be set"):
        injected({f"{CONFIG}close-wait-timeout": "10s"})
    init = container(injected({f"{CONFIG}close-wait-timeout": "10s"}, facts(proxyInit__runAsRoot=True)), "linkerd-init")
    assert init["args"][-2:] == ["--timeout-close-wait-secs", "10"]
    assert (init["securityContext"]["privileged"], init["securityContext"]["runAsUser"]) == (True, 0)


def test_without_a_projected_token_the_pods_own_is_used() -> None:
    found = injected(known=facts(identity__serviceAccountTokenProjection=False))
    told = environment(found)
    assert told[f"{P}IDENTITY_TOKEN_FILE"] == "/var/run/secrets/kubernetes.io/serviceaccount/token"
    assert TOKEN in container(found)["volumeMounts"]
    assert "linkerd-identity-token" not in [one["name"] for one in found["spec"]["volumes"]]


def test_the_proxy_learns_the_pods_ports() -> None:
    main: Json = {
        "name": "main",
        "image": "m",
        "ports": [{"containerPort": 8080}, {"containerPort": 3306}],
        "readinessProbe": {"httpGet": {"port": 9000}},
        "livenessProbe": {"httpGet": {"port": "named"}},
    }
    found = injected(containers=[main])
    assert environment(found)[f"{P}INBOUND_PORTS"] == "3306,8080,9000"
    assert found["metadata"]["annotations"][f"{CONFIG}opaque-ports"] == "3306"
    assert environment(found)[f"{P}INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION"] == "3306"


def service(*ports: Json, **annotations: str) -> Json:
    metadata: Json = {"name": "db", "annotations": annotations} if annotations else {"name": "db"}
    return {"metadata": metadata, "spec": {"ports": list(ports)}}


@pytest.mark.parametrize(
    ("body", "kind", "namespace", "expected"),
    [
        (service({"port": 3306}, {"port": 80}), "Service", {}, "3306"),
        (service({"port": 3306, "targetPort": 80}), "Service", {}, None),
        (service({"port": 80, "targetPort": 5432}), "Service", {}, "80"),
        (service({"port": 3306, "targetPort": "sql"}), "Service", {}, None),
        (service({"port": 80}), "Service", {f"{CONFIG}opaque-ports": "1-9"}, "1-9"),
        (service({"port": 3306}, **{f"{CONFIG}opaque-ports": "1"}), "Service", {}, None),
        (pod(containers=[{"name": "db", "ports": [{"containerPort": 3306}]}]), "Pod", {}, "3306"),
        (pod(), "Pod", {}, None),
        (pod(), "Deployment", {f"{CONFIG}opaque-ports": "1"}, None),
    ],
)
def test_opaque_ports_are_told_where_there_is_no_proxy(
    body: Json, kind: str, namespace: dict[str, str], expected: str | None
) -> None:
    patch = injector.patch(asked(body, kind), facts(namespace))
    annotations = applied(body, patch)["metadata"].get("annotations", {})
    assert (annotations.get(f"{CONFIG}opaque-ports") if patch else None) == expected


@pytest.mark.parametrize(
    ("own", "namespace", "tapped"),
    [
        ({}, {}, True),
        ({"viz.linkerd.io/disable-tap": "true"}, {}, False),
        ({"viz.linkerd.io/disable-tap": "perhaps"}, {}, True),
        ({}, {"viz.linkerd.io/disable-tap": "true"}, False),
        ({"viz.linkerd.io/tap-enabled": "true"}, {}, False),
    ],
)
@pytest.mark.parametrize("native", [True, False])
def test_tap_is_let_in_where_nobody_keeps_it_out(
    own: dict[str, str], namespace: dict[str, str], tapped: bool, native: bool
) -> None:
    meshed = injected(own, facts(proxy__nativeSidecar=native))
    found = applied(meshed, injector.tap_patch(meshed, namespace, "tap.linkerd-viz"))
    told: dict[str, Any] = environment(found)
    assert told.get(f"{P}TAP_SVC_NAME") == ("tap.linkerd-viz" if tapped else None)
    assert tapped or found == meshed


def test_tap_leaves_a_pod_without_a_proxy_alone() -> None:
    assert injector.tap_patch(pod(), {}, "tap.linkerd-viz") == []


def test_a_pod_of_nothing_and_values_of_an_older_chart() -> None:
    body = pod(ENABLED)
    sparse = {"linkerdVersion": "stable-2.14", "proxy": {"image": {"name": "p"}}, "identity": {}}
    known = injector.Facts(
        control_plane="linkerd", values={**facts().values, **sparse}, anchors=ANCHORS, namespace_annotations={}
    )
    found = applied(body, injector.patch(asked(body), known))
    assert container(found)["image"] == "p:stable-2.14"
    assert found["metadata"]["labels"] == {"linkerd.io/control-plane-ns": "linkerd", "linkerd.io/workload-ns": "shop"}


def test_parameters_of_servers_and_fixed_cores_are_told() -> None:
    server = {"server": {"http2": {"keepAliveInterval": "10s"}}}
    told = environment(injected(known=facts(proxy__inbound=server, proxy__cores=2, disableIPv6=False)))
    assert told[f"{P}INBOUND_SERVER_HTTP2_KEEP_ALIVE_INTERVAL"] == "10s"
    assert (told[f"{P}CORES"], told[f"{P}CORES_MIN"]) == ("2", "2")
    assert told[f"{P}OUTBOUND_LISTEN_ADDRS"] == "127.0.0.1:4140,[::1]:4140"
