"""viz -> its part of the snapshot: seven requests, and none where no namespace is labelled as viz's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import msgspec

from shared.decoding import prepare
from shared.mesh.fold import kinds, names, objects, wire
from shared.mesh.fold.proxies import decode_pod
from shared.mesh.ownership import LEFT_OUT, is_ours
from shared.mesh.snapshot import Condition, Named
from shared.mesh.snapshot.viz import ApiService, Viz, VizPod

VIZ = "viz"
"""Value of the label linkerd.io/extension (viz/pkg/healthcheck/healthcheck.go, VizExtensionName)."""
TAP_SECRETS = ("tap-k8s-tls", "linkerd-tap-tls")
"""Tap's TLS Secret, and the old name to look for where the new one is missing."""
TAP_API = "v1alpha1.tap.linkerd.io"
_EXTERNAL_PROMETHEUS = "viz.linkerd.io/external-prometheus"


class _ApiServiceSpec(kinds.Kind, frozen=True):
    ca_bundle: bytes = b""


class _ApiServiceStatus(kinds.Kind, frozen=True):
    conditions: tuple[kinds.Condition, ...] = ()


class _ApiService(kinds.Kind, frozen=True):
    spec: _ApiServiceSpec = _ApiServiceSpec()
    status: _ApiServiceStatus = _ApiServiceStatus()


prepare(_ApiService, wire.Page[wire.Pod])
PAGES = {wire.Pod: msgspec.json.Decoder(wire.Page[wire.Pod])}
"""Decoder of the one list that only viz needs."""


class Reader(Protocol):
    """What reads and decodes, as `shared.mesh.observe` does."""

    def get(self, path: str, kind: type[Any], fold: Any) -> Any | None:
        """One object's facts; None where it isn't there."""

    def list(self, path: str, kind: type[Any], fold: Any, selector: str = "") -> tuple[Any, ...]:
        """The facts of every object of a list."""


def observe_viz(reader: Reader, namespaces: Iterable[Named]) -> Viz | None:
    """Look at viz; None where no namespace is labelled as its own. Raises as `observe` does."""
    found = next((one for one in namespaces if one.labels.get(names.EXTENSION) == VIZ), None)
    if found is None:
        return None
    rbac = "/apis/rbac.authorization.k8s.io/v1/"
    inside = f"/api/v1/namespaces/{found.name}"
    credentials = (reader.get(f"{inside}/secrets/{name}", kinds.Secret, objects.credential) for name in TAP_SECRETS)
    credential = next((one for one in credentials if one is not None), None)
    return Viz(
        namespace=found.name,
        ours=is_ours(found.labels),
        external_prometheus=found.annotations.get(_EXTERNAL_PROMETHEUS, ""),
        left_out=found.annotations.get(LEFT_OUT, ""),
        cluster_roles=reader.list(f"{rbac}clusterroles", kinds.Object, _name),
        cluster_role_bindings=reader.list(f"{rbac}clusterrolebindings", kinds.Object, _name),
        prometheus_config=reader.get(f"{inside}/configmaps/prometheus-config", kinds.Object, _name) is not None,
        pods=reader.list(f"{inside}/pods", wire.Pod, _pod),
        tap=reader.get(f"/apis/apiregistration.k8s.io/v1/apiservices/{TAP_API}", _ApiService, _api_service),
        credentials={credential.secret: credential} if credential is not None else {},
    )


def _name(found: kinds.Object) -> str:
    return found.metadata.name


def _pod(found: wire.Pod) -> VizPod:
    decoded = decode_pod(found)
    return VizPod(decoded.pod, decoded.proxied, decoded.anchors)


def _api_service(found: _ApiService) -> ApiService:
    conditions = tuple(Condition(one.type, one.status, one.reason, one.message) for one in found.status.conditions)
    return ApiService(found.spec.ca_bundle.decode(errors="replace"), conditions)
