"""Makes the Kubernetes objects of a cluster with Linkerd on it, healthy but for what a state's knobs say.

The objects are as small as what reads them allows. Certificates are made anew, with fixed serial numbers.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.mesh.linkerd.checks.config import CRDS

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
VERSION = "edge-26.8.3"
NETWORKS = "10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fd00::/8,34.118.224.0/20"
COMPONENTS = ("destination", "identity", "proxy-injector")
Object = dict[str, Any]
PrivateKey = ec.EllipticCurvePrivateKey


@dataclasses.dataclass(frozen=True)
class Certified:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: PrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        ).decode()


def certify(
    name: str,
    *,
    serial: int,
    by: Certified | None = None,
    ca: bool = True,
    days: tuple[float, float] = (-1, 365),
    sans: tuple[str, ...] = (),
    curve: ec.EllipticCurve | None = None,
) -> Certified:
    """A certificate valid from `days[0]` to `days[1]` days after NOW; signed by itself if by nobody."""
    key = ec.generate_private_key(curve or ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(NOW + dt.timedelta(days=days[0]))
        .not_valid_after(NOW + dt.timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
    )
    if sans:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(san) for san in sans]), False)
    return Certified(builder.sign(by.key if by else key, hashes.SHA256()), key)


@dataclasses.dataclass(frozen=True, kw_only=True)
class State:
    """What differs from a healthy installation.

    Attributes:
        networks: clusterNetworks.
        values: other values of linkerd-config, merged over the usual ones.
        raw_values: the text of linkerd-config's values in place of all that.
        pod_cidrs: one node for each; "" is a node without.
        runtime: every node's container runtime.
        pods: more pods: namespace, name, ip, and optionally hostNetwork.
        services: more Services: namespace, name, clusterIP.
        namespaces: more namespaces and their labels.
        anchor_days, issuer_days, webhook_days: validity, from and to, in days after NOW.
        issuer_by_another: the issuer is signed by an anchor that nobody trusts.
        issuer_key_of_another: the issuer's Secret holds another certificate's key.
        ca_of_another: webhooks whose caBundle is another certificate.
        replica_failure: why no ReplicaSet can create its pods; there are no pods then.
        unready: containers that aren't ready, by component.
        unschedulable: why the components' pods are unschedulable, by component.
        proxy_version: tag of the proxies' image.
        crd_versions: versions of a CRD in place of the usual one.
        without: objects to leave out, as Kind/name.
    """

    networks: str = NETWORKS
    values: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    raw_values: str | None = None
    pod_cidrs: tuple[str, ...] = ("10.64.0.0/24",)
    runtime: str = "containerd://2.1.4"
    pods: tuple[Mapping[str, Any], ...] = ()
    services: tuple[Mapping[str, Any], ...] = ()
    namespaces: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    anchor_days: tuple[float, float] = (-1, 365)
    issuer_days: tuple[float, float] = (-1, 365)
    webhook_days: tuple[float, float] = (-1, 365)
    issuer_by_another: bool = False
    issuer_key_of_another: bool = False
    ca_of_another: tuple[str, ...] = ()
    replica_failure: str = ""
    unready: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    unschedulable: Mapping[str, str] = dataclasses.field(default_factory=dict)
    proxy_version: str = VERSION
    crd_versions: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    without: tuple[str, ...] = ()


def objects(state: State | None = None) -> list[Object]:
    """All objects of a state."""
    state = state or State()
    anchor = certify("root.linkerd.cluster.local", serial=1001, days=state.anchor_days)
    found = [
        *_namespaces(state),
        *_nodes(state),
        *_addresses(state),
        *_configuration(state, anchor),
        *_issuer(state, anchor),
        *_webhooks(state),
        *_workloads(state),
        *_rbac(),
        *_crds(state),
    ]
    return [one for one in found if f"{one['kind']}/{one['metadata']['name']}" not in state.without]


def _object(api: str, kind: str, name: str, namespace: str = "", **fields: Any) -> Object:
    metadata: Object = {"name": name, "resourceVersion": "7", "uid": f"uid-of-{name}"}
    if namespace:
        metadata["namespace"] = namespace
    metadata |= fields.pop("metadata", {})
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **fields}


def _ours(component: str) -> Object:
    return {"labels": {"linkerd.io/control-plane-ns": "linkerd", "linkerd.io/control-plane-component": component}}


def _namespaces(state: State) -> Iterator[Object]:
    for name, labels in {"default": {}, "kube-system": {}, "linkerd": {}, **state.namespaces}.items():
        yield _object("v1", "Namespace", name, metadata={"labels": dict(labels)})


def _nodes(state: State) -> Iterator[Object]:
    for number, cidr in enumerate(state.pod_cidrs):
        spec = {"podCIDR": cidr, "podCIDRs": [cidr]} if cidr else {}
        info = {"nodeInfo": {"containerRuntimeVersion": state.runtime}}
        yield _object("v1", "Node", f"node-{number}", spec=spec, status=info)


def _addresses(state: State) -> Iterator[Object]:
    for pod in state.pods:
        spec = {"hostNetwork": True} if pod.get("hostNetwork") else {}
        status = {"phase": "Running", "podIP": pod["ip"]} if pod["ip"] else {"phase": "Pending"}
        containers = {"containers": [{"name": "app", "image": "app"}]}
        yield _object("v1", "Pod", pod["name"], pod["namespace"], spec={**spec, **containers}, status=status)
    usual = (
        {"namespace": "default", "name": "kubernetes", "ip": "34.118.224.1"},
        {"namespace": "linkerd", "name": "linkerd-dst", "ip": "34.118.230.7"},
        {"namespace": "linkerd", "name": "linkerd-dst-headless", "ip": "None"},
    )
    for service in (*usual, *state.services):
        address = {"clusterIP": service["ip"], "selector": {"app": service["name"]}}
        yield _object("v1", "Service", service["name"], service["namespace"], spec=address)


def _configuration(state: State, anchor: Certified) -> Iterator[Object]:
    values = {
        "clusterNetworks": state.networks,
        "identity": {"issuer": {"scheme": "linkerd.io/tls", "tls": {"crtPEM": "shown", "keyPEM": "never shown"}}},
        "identityTrustAnchorsPEM": anchor.pem,
        "linkerdVersion": VERSION,
        "proxyInit": {"runAsRoot": False},
        **state.values,
    }
    text = yaml.safe_dump(values) if state.raw_values is None else state.raw_values
    yield _object("v1", "ConfigMap", "linkerd-config", "linkerd", data={"values": text})
    yield _object(
        "v1", "ConfigMap", "linkerd-identity-trust-roots", "linkerd", data={"ca-bundle.crt": anchor.pem.strip()}
    )


def _secret(name: str, **entries: str) -> Object:
    data = {key.replace("_", "."): base64.b64encode(text.encode()).decode() for key, text in entries.items()}
    return _object("v1", "Secret", name, "linkerd", data=data)


def _issuer(state: State, anchor: Certified) -> Iterator[Object]:
    signer = certify("root.linkerd.cluster.local", serial=1002) if state.issuer_by_another else anchor
    issuer = certify("identity.linkerd.cluster.local", serial=1003, by=signer, days=state.issuer_days)
    holder = certify("somebody", serial=1004) if state.issuer_key_of_another else issuer
    yield _secret("linkerd-identity-issuer", crt_pem=issuer.pem, key_pem=holder.key_pem)


def _webhooks(state: State) -> Iterator[Object]:
    for number, name in enumerate(("proxy-injector", "sp-validator", "policy-validator")):
        host = f"linkerd-{name}.linkerd.svc"
        own = certify(host, serial=2001 + number, days=state.webhook_days, sans=(host,))
        known = certify(host, serial=3001 + number, sans=(host,)) if name in state.ca_of_another else own
        yield _secret(f"linkerd-{name}-k8s-tls", tls_crt=own.pem, tls_key=own.key_pem)
        kind = "Mutating" if name == "proxy-injector" else "Validating"
        yield _object(
            "admissionregistration.k8s.io/v1",
            f"{kind}WebhookConfiguration",
            f"linkerd-{name}-webhook-config",
            metadata=_ours(name),
            webhooks=[{"name": host, "clientConfig": {"caBundle": base64.b64encode(known.pem.encode()).decode()}}],
        )


def _proxy(state: State) -> Object:
    names = ("LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS", "LINKERD2_PROXY_POLICY_CLUSTER_NETWORKS")
    env = [{"name": name, "value": state.networks} for name in names]
    image = f"cr.l5d.io/linkerd/proxy:{state.proxy_version}"
    return {"name": "linkerd-proxy", "image": image, "env": env, "restartPolicy": "Always"}


def pod_of(component: str, state: State) -> Object:
    """A pod of the control plane: an init container, the proxy as a native sidecar, and the component."""
    unready = state.unready.get(component, ())
    running: Object = {"state": {"running": {}}}
    problem = state.unschedulable.get(component)
    conditions = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": problem}]
    status: Object = {
        "phase": "Running",
        "podIP": "10.64.0.9",
        "conditions": conditions if problem else [{"type": "Ready", "status": "True", "lastProbeTime": None}],
        "initContainerStatuses": [
            {"name": "linkerd-init", "ready": True, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}},
            {"name": "linkerd-proxy", "ready": "linkerd-proxy" not in unready, "started": True, **running},
        ],
        "containerStatuses": [{"name": component, "ready": component not in unready, **running}],
    }
    spec = {
        "initContainers": [{"name": "linkerd-init", "image": "init"}, _proxy(state)],
        "containers": [{"name": component, "image": "controller"}],
    }
    name = f"linkerd-{component}-5dc89bd97c-x2x2x"
    owner = {"kind": "ReplicaSet", "name": name.rpartition("-")[0], "controller": True}
    metadata = {**_ours(component), "ownerReferences": [owner]}
    return _object("v1", "Pod", name, "linkerd", metadata=metadata, spec=spec, status=status)


def _workloads(state: State) -> Iterator[Object]:
    for component in COMPONENTS:
        policy = {"name": "policy", "args": [f"--cluster-networks={state.networks}", "--log-level=info"]}
        spec = {"initContainers": [_proxy(state)], "containers": [policy] if component == "destination" else []}
        failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}
        yield _object(
            "apps/v1",
            "Deployment",
            f"linkerd-{component}",
            "linkerd",
            metadata={**_ours(component), "generation": 2},
            spec={"replicas": 1, "template": {"spec": spec}},
            status={"observedGeneration": 2, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1},
        )
        conditions = [{**failure, "message": state.replica_failure}] if state.replica_failure else []
        yield _object(
            "apps/v1",
            "ReplicaSet",
            f"linkerd-{component}-5dc89bd97c",
            "linkerd",
            metadata=_ours(component),
            spec={"replicas": 1},
            status={"readyReplicas": 1, "conditions": conditions},
        )
        if not state.replica_failure:
            yield pod_of(component, state)
    yield _object("batch/v1", "CronJob", "linkerd-heartbeat", "linkerd", spec={"schedule": "1 2 * * *"})


def _rbac() -> Iterator[Object]:
    for component in (*COMPONENTS, "heartbeat"):
        yield _object("v1", "ServiceAccount", f"linkerd-{component}", "linkerd", metadata=_ours(component))
    for component in ("identity", "proxy-injector"):
        for kind in ("ClusterRole", "ClusterRoleBinding"):
            api = "rbac.authorization.k8s.io/v1"
            yield _object(api, kind, f"linkerd-linkerd-{component}", metadata=_ours(component))


def _crds(state: State) -> Iterator[Object]:
    known = {name: (version,) for name, version in CRDS.items()}
    for name, versions in {**known, "httproutes.gateway.networking.k8s.io": ("v1",), **state.crd_versions}.items():
        api, kind = "apiextensions.k8s.io/v1", "CustomResourceDefinition"
        yield _object(api, kind, name, spec={"versions": [{"name": version} for version in versions]})
