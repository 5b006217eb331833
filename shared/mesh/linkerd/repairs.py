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
from typing import Any

import yaml

from shared.mesh.patch import Patch
from shared.model import Repair

PROXY_VARIABLES = ("LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS", "LINKERD2_PROXY_POLICY_CLUSTER_NETWORKS")
"""What tells a proxy which addresses are the cluster's."""
_ARGUMENT = "--cluster-networks="
_NETWORKS_ENTRY = re.compile(r"""^(['"]?)clusterNetworks\1[ \t]*:.*(?:\n(?:[ \t]+|- ).*)*$""", re.MULTILINE)
"""The entry of the values that holds the networks: one line as Helm writes it, more where somebody folded it."""


def networks_in(values: str) -> str:
    """The networks as a text of Helm values says them; "" where it doesn't, or can't be read."""
    entry = _NETWORKS_ENTRY.search(values)
    try:
        found = yaml.safe_load(entry[0])["clusterNetworks"] if entry is not None else None
    except (yaml.YAMLError, TypeError):
        return ""
    return found if isinstance(found, str) else ""


def _with_networks(values: str, networks: str) -> str:
    """Helm values that say `networks`, and all else as it was, in the form in which Helm writes them."""
    line = f"clusterNetworks: {networks}"
    if _NETWORKS_ENTRY.search(values):
        return _NETWORKS_ENTRY.sub(line, values, count=1)
    others = values.rstrip()
    # No other value: Go writes an empty map so.
    return f"{line}\n" if others in ("", "{}") else f"{others}\n{line}\n"


def config_map_patch(config: Mapping[str, Any], networks: str) -> Patch | None:
    """The patch of linkerd-config, or None where it already says `networks`.

    Only that entry changes, to the form in which Helm renders it, so that the next upgrade finds no difference.
    """
    text = str(config["data"]["values"])
    changed = _with_networks(text, networks)
    if changed == text:
        return None
    metadata = config["metadata"]
    return Patch(
        f"/api/v1/namespaces/{metadata['namespace']}/configmaps/{metadata['name']}",
        f"ConfigMap {metadata['name']}, values: clusterNetworks",
        "merge",
        {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "data": {"values": changed}},
        Repair.CLUSTER_NETWORKS,
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
        Repair.CLUSTER_NETWORKS,
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
    """The patch of the CLI's linkerd-config-overrides; all other values stay.

    None where it already says `networks`, or where it is no text: then it is no values either, and not ours to replace.
    """
    key = "linkerd-config-overrides"
    try:
        text = base64.b64decode((secret.get("data") or {}).get(key) or "").decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    changed = _with_networks(text, networks)
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
        Repair.CLUSTER_NETWORKS,
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
