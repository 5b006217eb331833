"""What a Linkerd that others installed is made of: its version and its owner's values, by Helm or by its own CLI."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import yaml

from shared import bounded_yaml
from shared.kube import Kube
from shared.mesh.adoption import Owned, without
from shared.mesh.linkerd.certificates import Webhook
from shared.mesh.releases import DeployedRelease

_CONTROL_PLANE = "linkerd-control-plane"
_OVERRIDES = "linkerd-config-overrides"
_LEFT_OUT = (
    # Certificates: they are read from where the cluster has them, and no key belongs into values.
    "identityTrustAnchorsPEM",
    "identity.issuer",
    "identity.externalCA",
    *(
        f"{webhook.values_key}.{key}"
        for webhook in Webhook
        for key in ("crtPEM", "keyPEM", "caBundle", "externalSecret")
    ),
    *(f"{webhook.values_key}.{key}" for webhook in Webhook for key in ("injectCaFrom", "injectCaFromSecret")),
    # Versions: the chart's own, or an upgrade would leave the images behind.
    "cliVersion",
    "controllerImageVersion",
    "linkerdVersion",
    "debugContainer.image.version",
    "policyController.image.version",
    "proxy.image.version",
    "proxyInit.image.version",
)
"""Paths of charts/linkerd-control-plane/values.yaml that aren't the owner's to keep."""


def owned(kube: Kube, namespace: str, releases: Mapping[str, DeployedRelease]) -> Owned:
    """Look; writes nothing.

    Values are those of the Helm releases where there are any; the CLI keeps what its owner said in a Secret of its own
    (cli/cmd/install.go, renderOverrides).

    Args:
        kube: the cluster.
        namespace: the control plane's namespace.
        releases: the Helm releases in it.

    Raises:
        Temporary: the API server can't answer.
    """
    config = kube.get(f"/api/v1/namespaces/{namespace}/configmaps/linkerd-config")
    found = {name: release.values for name, release in releases.items()}
    if _CONTROL_PLANE not in found:
        overrides = kube.get(f"/api/v1/namespaces/{namespace}/secrets/{_OVERRIDES}")
        found[_CONTROL_PLANE] = _decoded((overrides or {}).get("data") or {})
    return Owned(
        version=str(_yaml(((config or {}).get("data") or {}).get("values") or "").get("linkerdVersion") or ""),
        values={name: kept for name, values in found.items() if (kept := without(values, _LEFT_OUT))},
    )


def _decoded(data: Mapping[str, str]) -> dict[str, Any]:
    try:
        return _yaml(base64.b64decode(data.get(_OVERRIDES, "")).decode())
    except (binascii.Error, UnicodeDecodeError):
        return {}


def _yaml(text: str) -> dict[str, Any]:
    try:
        found = bounded_yaml.load(text)
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}
