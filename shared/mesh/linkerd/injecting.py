"""Which meshed workloads a restart would bring up to date, and whether the injector already gives what is current."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from shared.kube import AdmissionDenied, Kube
from shared.mesh.fold import names
from shared.mesh.hooks import Stale
from shared.mesh.linkerd.proving import annotated_pod, proxy_of
from shared.mesh.linkerd.repairs import networks_in
from shared.mesh.linkerd.words import quoted
from shared.mesh.observe import observe
from shared.mesh.profile import Profile
from shared.mesh.snapshot import MeshSnapshot


def stale_of(snapshot: MeshSnapshot) -> Stale:
    """The workloads whose proxies run with other settings than the control plane's, or are missing; pure."""
    found = (snapshot.outdated, snapshot.unmeshed)
    return Stale(
        workloads=tuple(workload for one in found for workload in one.first),
        other_pods=sum(one.other_pods for one in found),
        key=_key(snapshot),
    )


def stale(kube: Kube, profile: Profile) -> Stale:
    """Look at the cluster for them; raises Temporary where the API server can't answer."""
    return stale_of(observe(kube, namespace=profile.namespace.name))


def injected(kube: Kube, profile: Profile, namespace: str) -> str:
    """Why a pod that starts now wouldn't get the current settings; "" where it would.

    A dry run asks the injector itself: it reads linkerd-config from a mounted file, which the kubelet brings up to date
    only after a while (k8s.io/kubernetes pkg/kubelet/configmap, syncFrequency), and a pod that is restarted before that
    comes back as outdated as it went.

    Args:
        kube: the cluster.
        profile: the mesh.
        namespace: of a meshed workload, where pods are admitted that have a proxy.

    Raises:
        Temporary: the API server can't answer.
    """
    base = f"/api/v1/namespaces/{profile.namespace.name}/configmaps"
    config, roots = (kube.get(f"{base}/linkerd-{name}") for name in ("config", "identity-trust-roots"))
    try:
        pod = kube.create(f"/api/v1/namespaces/{namespace}/pods", annotated_pod(namespace), dry_run=True)
    except AdmissionDenied as denied:
        return f"a dry run of a meshed pod in {namespace} is denied: {denied.problem}"
    return _difference(pod, config or {}, roots or {})


def _difference(pod: dict[str, Any], config: dict[str, Any], roots: dict[str, Any]) -> str:
    proxy = proxy_of(pod)
    if proxy is None:
        return "a new pod gets no proxy: the injector isn't called, or leaves it alone"
    given = {one["name"]: str(one.get("value", "")) for one in proxy.get("env") or ()}
    networks = networks_in(str((config.get("data") or {}).get("values", "")))
    held = given.get(names.PROFILE_NETWORKS, "")
    if networks and set(held.split(",")) != set(networks.split(",")):
        return f"the injector still gives clusterNetworks {quoted(held)}"
    bundle = str((roots.get("data") or {}).get("ca-bundle.crt", "")).strip()
    if bundle and given.get(names.TRUST_ANCHORS, "").strip() not in (bundle, ""):
        return "the injector still gives other trust anchors"
    return ""


def _key(snapshot: MeshSnapshot) -> str:
    """A digest of what a proxy is started with: networks, trust anchors and version."""
    config = snapshot.config
    facts = [
        sorted(((config.networks if config is not None else None) or "").split(",")),
        (snapshot.trust_roots or "").strip(),
        config.proxy_version if config is not None else "",
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
