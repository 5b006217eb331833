"""A cluster -> its snapshot; the only reader of what the checks judge.

About 45 requests for 5,000 pods and 1,000 Services: ten pages of pods, two of Services, one for each other list and
object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

import msgspec

from shared.decoding import prepare
from shared.errors import Temporary
from shared.mesh.fold import Current, Folding, Injection, cidrs, kinds, names, objects, settings, wire
from shared.mesh.observe.recorded import RecordedCluster
from shared.mesh.observe.viz import PAGES, observe_viz
from shared.mesh.snapshot import Cni, Crd, Credential, MeshConfig, MeshSnapshot, Overrides

CRDS = (
    "authorizationpolicies.policy.linkerd.io",
    "egressnetworks.policy.linkerd.io",
    "externalworkloads.workload.linkerd.io",
    "grpcroutes.gateway.networking.k8s.io",
    "httplocalratelimitpolicies.policy.linkerd.io",
    "httproutes.gateway.networking.k8s.io",
    "httproutes.policy.linkerd.io",
    "meshtlsauthentications.policy.linkerd.io",
    "networkauthentications.policy.linkerd.io",
    "serverauthorizations.policy.linkerd.io",
    "servers.policy.linkerd.io",
    "serviceprofiles.linkerd.io",
)
"""The CRDs that are looked for; a cluster's other CRDs are many and large, so they are asked for by name."""

_SECRETS = (
    ("linkerd-identity-issuer", ""),
    ("linkerd-policy-validator-k8s-tls", ""),
    ("linkerd-proxy-injector-k8s-tls", "linkerd-proxy-injector-tls"),
    ("linkerd-sp-validator-k8s-tls", "linkerd-sp-validator-tls"),
)
"""TLS Secrets, and the old name to look for where the new one is missing; never all of the namespace's Secrets."""

_COMPONENTS = f"{names.CONTROL_PLANE_NS},!{names.CNI_RESOURCE}"
_CNI = "linkerd-cni"
_T = TypeVar("_T")
_F = TypeVar("_F")

_LISTED = (kinds.CronJob, kinds.Node, kinds.Object, kinds.Webhooks, kinds.Workload)
_PAGES: dict[type[Any], msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(wire.Page[kind])  # type: ignore[valid-type]  # a type chosen at run time
    for kind in _LISTED
} | PAGES
"""Decoders of lists, by the kind that is listed."""
prepare(kinds.ConfigMap, kinds.Crd, kinds.DaemonSet, kinds.Object, kinds.Secret)


class Door(Protocol):
    """What is asked of a Kubernetes client: JSON bytes."""

    def get_raw(self, path: str) -> bytes | None:
        """One object; None where there is none."""
        ...

    def list_raw(
        self, path: str, *, label_selector: str = "", field_selector: str = "", limit: int = 500
    ) -> Iterator[bytes]:
        """A list's pages."""
        ...


def observe(
    kube: Door, *, namespace: str = "linkerd", cni_namespace: str = "linkerd-cni", data_plane: bool = False
) -> MeshSnapshot:
    """Look at a cluster.

    Memory doesn't grow with the number of pods or Services: their pages are folded one at a time.

    Args:
        kube: the cluster's API server.
        namespace: the mesh's own namespace.
        cni_namespace: where linkerd-cni would be.
        data_plane: whether to ask what only `linkerd check --proxy` asks, which takes a list of Endpoints more.

    Raises:
        Temporary: an answer isn't shaped as the API promises; and whatever `kube` raises.
    """
    reader = _Reader(kube, namespace)
    config = reader.get("/api/v1/{}/configmaps/linkerd-config", kinds.ConfigMap, settings.config)
    trust_roots = reader.get(
        "/api/v1/{}/configmaps/linkerd-identity-trust-roots",
        kinds.ConfigMap,
        lambda found: found.data.get("ca-bundle.crt", ""),
    )
    webhooks = "/apis/admissionregistration.k8s.io/v1/{}webhookconfigurations"
    namespaces = reader.list("/api/v1/namespaces", kinds.Object, objects.named)
    mutating = reader.list(webhooks.format("mutating"), kinds.Webhooks, objects.webhooks)
    injector = next((one for one in mutating if one.name == names.INJECTOR), None)
    folding = reader.fold(config, trust_roots, Injection(namespaces, injector, namespace), data_plane=data_plane)
    rbac = "/apis/rbac.authorization.k8s.io/v1/"
    return MeshSnapshot(
        namespace=namespace,
        config=config,
        trust_roots=trust_roots,
        overrides=_overrides(reader),
        namespaces=namespaces,
        nodes=reader.list("/api/v1/nodes", kinds.Node, objects.node),
        pods=folding.pods,
        services=folding.services,
        service_metadata=folding.service_metadata,
        proxies=folding.proxies,
        outdated=folding.outdated,
        opaque_ports=folding.opaque_ports(),
        unmeshed=folding.unmeshed,
        unrequested=folding.unrequested,
        mesh_pods=folding.mesh_pods,
        deployments=reader.list("/apis/apps/v1/{}/deployments", kinds.Workload, objects.deployment),
        replica_sets=reader.list("/apis/apps/v1/{}/replicasets", kinds.Workload, objects.replica_set),
        cron_jobs=reader.list("/apis/batch/v1/{}/cronjobs", kinds.CronJob, objects.cron_job),
        service_accounts=reader.list("/api/v1/{}/serviceaccounts", kinds.Object, objects.named),
        cluster_roles=reader.list(f"{rbac}clusterroles", kinds.Object, objects.named, _COMPONENTS),
        cluster_role_bindings=reader.list(f"{rbac}clusterrolebindings", kinds.Object, objects.named, _COMPONENTS),
        crds=_crds(reader),
        mutating_webhooks=mutating,
        validating_webhooks=reader.list(webhooks.format("validating"), kinds.Webhooks, objects.webhooks),
        credentials=_credentials(reader),
        cni=_cni(reader, config, cni_namespace),
        viz=observe_viz(reader, namespaces),
    )


def from_objects(found: Iterable[Mapping[str, Any]], *, namespace: str = "linkerd") -> MeshSnapshot:
    """The snapshot of a recorded state: Kubernetes objects as JSON, read by the same code as a live cluster.

    Raises:
        Temporary: an object isn't shaped as the API promises.
    """
    return observe(RecordedCluster(found), namespace=namespace, data_plane=True)


class _Reader:
    """Decodes what a door answers; `{}` in a path is the mesh's own namespace."""

    def __init__(self, kube: Door, namespace: str) -> None:
        self._kube = kube
        self._namespace = namespace

    def _path(self, path: str) -> str:
        return path.replace("{}", f"namespaces/{self._namespace}")

    def get(self, path: str, kind: type[_T], fold: Callable[[_T], _F]) -> _F | None:
        """One object's facts; None where it isn't there."""
        path = self._path(path)
        answer = self._kube.get_raw(path)
        return None if answer is None else fold(_checked(path, lambda: msgspec.json.decode(answer, type=kind)))

    def list(self, path: str, kind: type[_T], fold: Callable[[_T], _F], selector: str = "") -> tuple[_F, ...]:
        """The facts of every object of a list."""
        path = self._path(path)
        decoder = _PAGES[kind]
        facts: list[_F] = []
        for page in self._kube.list_raw(path, label_selector=selector):
            facts += map(fold, _checked(path, lambda page=page: decoder.decode(page)).items or ())  # type: ignore[misc]
        return tuple(facts)

    def fold(
        self, config: MeshConfig | None, trust_roots: str | None, injection: Injection, *, data_plane: bool
    ) -> Folding:
        """All pods and Services, folded."""
        text, version = (None, "") if config is None else (config.networks, config.proxy_version)
        current = Current(networks=text, trust_roots=trust_roots, version=version)
        folding = Folding(
            _parsed(text), current=current, injection=injection, namespace=self._namespace, opaque=data_plane
        )
        steps = [("/api/v1/services", folding.add_services), ("/api/v1/pods", folding.add_pods)]
        if data_plane:
            steps.append(("/api/v1/endpoints", folding.add_endpoints))
        for path, add in steps:
            for page in self._kube.list_raw(path):
                _checked(path, lambda add=add, page=page: add(page))  # type: ignore[misc]
        return folding


def _parsed(text: str | None) -> cidrs.Networks | None:
    """The networks to judge by; None where there are none or they can't be read, which the checks then say."""
    try:
        return None if text is None else cidrs.parse(text)
    except cidrs.NetworksError:
        return None


def _checked(path: str, decode: Callable[[], _T]) -> _T:
    try:
        return decode()
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Temporary(
            "UnreadableAnswer",
            f"the answer to GET {path} isn't shaped as the Kubernetes API promises: {error}",
            tried="observing the cluster",
            remedy="see whether something stands between this system and the API server",
        ) from error


def _overrides(reader: _Reader) -> Overrides | None:
    return reader.get("/api/v1/{}/secrets/linkerd-config-overrides", kinds.Secret, settings.overrides)


def _crds(reader: _Reader) -> tuple[Crd, ...]:
    base = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/"
    found = (reader.get(f"{base}{name}", kinds.Crd, objects.crd) for name in CRDS)
    return tuple(crd for crd in found if crd is not None)


def _credentials(reader: _Reader) -> dict[str, Credential]:
    found: dict[str, Credential] = {}
    for candidates in _SECRETS:
        for name in filter(None, candidates):
            credential = reader.get(f"/api/v1/{{}}/secrets/{name}", kinds.Secret, objects.credential)
            if credential is not None:
                found[name] = credential
                break
    return found


def _cni(reader: _Reader, config: MeshConfig | None, namespace: str) -> Cni | None:
    if config is None or not (config.values or {}).get("cniEnabled"):
        return None
    rbac = "/apis/rbac.authorization.k8s.io/v1"

    def exists(path: str) -> bool:
        return reader.get(path, kinds.Object, lambda _: True) is not None

    numbers = reader.get(
        f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{_CNI}",
        kinds.DaemonSet,
        lambda found: (found.status.desired_number_scheduled, found.status.number_ready),
    )
    scheduled, ready = numbers or (None, None)
    return Cni(
        config=exists(f"/api/v1/namespaces/{namespace}/configmaps/linkerd-cni-config"),
        cluster_role=exists(f"{rbac}/clusterroles/{_CNI}"),
        cluster_role_binding=exists(f"{rbac}/clusterrolebindings/{_CNI}"),
        service_account=exists(f"/api/v1/namespaces/{namespace}/serviceaccounts/{_CNI}"),
        scheduled=scheduled,
        ready=ready,
    )
