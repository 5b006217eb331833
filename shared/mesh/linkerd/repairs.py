"""The clusterNetworks repair: every place in the mesh's own namespace that holds the value; pure.

Places (linkerd2 charts/linkerd-control-plane/templates/{config,destination}.yaml, charts/partials/templates/_proxy.tpl,
cli/cmd/upgrade.go for the Secret):

- ConfigMap linkerd-config, key `values`: what the proxy injector and `linkerd check` read;
- Deployment linkerd-destination, container `policy`, argument `--cluster-networks=`;
- the linkerd-proxy container of each control-plane Deployment, two environment variables;
- Secret linkerd-config-overrides, where the CLI installed: what `linkerd upgrade` renders from.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

PROXY_VARIABLES = ("LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS", "LINKERD2_PROXY_POLICY_CLUSTER_NETWORKS")
"""What tells a proxy which addresses are the cluster's."""
_ARGUMENT = "--cluster-networks="
CLUSTER_NETWORKS_LINE = re.compile(r"^clusterNetworks:(?P<networks>.*)$", re.MULTILINE)
"""The one line of linkerd-config's `values` that holds the networks."""


class Patch(msgspec.Struct, frozen=True):
    """One write.

    Attributes:
        path: the object's path on the API server.
        what: the object and field in words.
        kind: how Kubernetes merges `body`.
        body: the patch; carries the resourceVersion that was looked at, so that a newer edit isn't overwritten.
    """

    path: str
    what: str
    kind: Literal["merge", "strategic"]
    body: dict[str, Any]


def config_map_patch(config: Mapping[str, Any], networks: str) -> Patch | None:
    """The patch of linkerd-config, or None where it already says `networks`.

    Only the one line changes, in the form in which Helm renders it, so that the next upgrade finds no difference.
    """
    text = str(config["data"]["values"])
    line = f"clusterNetworks: {networks}"
    changed = (
        CLUSTER_NETWORKS_LINE.sub(line, text, count=1)
        if CLUSTER_NETWORKS_LINE.search(text)
        else f"{text.rstrip()}\n{line}\n"
    )
    if changed == text:
        return None
    metadata = config["metadata"]
    return Patch(
        f"/api/v1/namespaces/{metadata['namespace']}/configmaps/{metadata['name']}",
        f"ConfigMap {metadata['name']}, values: clusterNetworks",
        "merge",
        {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "data": {"values": changed}},
    )


def deployment_patch(deployment: Mapping[str, Any], networks: str) -> Patch | None:
    """The patch of a control-plane Deployment's arguments and proxy variables, or None where they say `networks`."""
    pod = deployment["spec"]["template"]["spec"]
    changes: dict[str, list[dict[str, Any]]] = {}
    for field in ("initContainers", "containers"):
        patched = [change for container in pod.get(field) or () if (change := _container_patch(container, networks))]
        if patched:
            changes[field] = patched
    if not changes:
        return None
    metadata = deployment["metadata"]
    return Patch(
        f"/apis/apps/v1/namespaces/{metadata['namespace']}/deployments/{metadata['name']}",
        f"Deployment {metadata['name']}: {_ARGUMENT.rstrip('=')} and its proxy's networks",
        "strategic",
        {
            "metadata": {"resourceVersion": metadata["resourceVersion"]},
            "spec": {"template": {"spec": changes}},
        },
    )


def _container_patch(container: Mapping[str, Any], networks: str) -> dict[str, Any] | None:
    change: dict[str, Any] = {}
    arguments = list(container.get("args") or ())
    wished = [f"{_ARGUMENT}{networks}" if str(one).startswith(_ARGUMENT) else one for one in arguments]
    if wished != arguments:
        change["args"] = wished
    variables = [
        {"name": variable["name"], "value": networks}
        for variable in container.get("env") or ()
        if variable["name"] in PROXY_VARIABLES and variable.get("value") != networks
    ]
    if variables:
        change["env"] = variables
    return {"name": container["name"], **change} if change else None


def overrides_patch(secret: Mapping[str, Any], networks: str) -> Patch | None:
    """The patch of the CLI's linkerd-config-overrides, or None where it already says `networks`; other values stay."""
    key = "linkerd-config-overrides"
    try:
        text = base64.b64decode(secret["data"][key]).decode()
    except (KeyError, binascii.Error, UnicodeDecodeError):
        text = ""
    line = f"clusterNetworks: {networks}"
    changed = (
        CLUSTER_NETWORKS_LINE.sub(line, text, count=1) if CLUSTER_NETWORKS_LINE.search(text) else f"{line}\n{text}"
    )
    if changed == text:
        return None
    metadata = secret["metadata"]
    return Patch(
        f"/api/v1/namespaces/{metadata['namespace']}/secrets/{metadata['name']}",
        f"Secret {metadata['name']}: clusterNetworks for the next `linkerd upgrade`",
        "merge",
        {
            "metadata": {"resourceVersion": metadata["resourceVersion"]},
            "data": {key: base64.b64encode(changed.encode()).decode()},
        },
    )


def network_patches(
    config: Mapping[str, Any],
    deployments: list[Mapping[str, Any]],
    overrides: Mapping[str, Any] | None,
    networks: str,
) -> tuple[Patch, ...]:
    """Every write that makes the cluster say `networks`; empty where it already does.

    Args:
        config: ConfigMap linkerd-config as JSON.
        deployments: the control plane's Deployments as JSON.
        overrides: Secret linkerd-config-overrides as JSON, or None where Helm manages the mesh.
        networks: comma-separated CIDRs.
    """
    patches = [
        config_map_patch(config, networks),
        overrides_patch(overrides, networks) if overrides is not None else None,
        *(deployment_patch(deployment, networks) for deployment in deployments),
    ]
    return tuple(patch for patch in patches if patch is not None)
