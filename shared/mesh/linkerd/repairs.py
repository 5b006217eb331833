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
import copy
import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from shared import bounded_yaml
from shared.mesh.fold import cidrs
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
        found = bounded_yaml.load(entry[0])["clusterNetworks"] if entry is not None else None
    except (yaml.YAMLError, LookupError, TypeError):
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


def amended(manifest: Iterable[Mapping[str, Any]], networks: str) -> tuple[dict[str, Any], ...]:
    """The objects of a release's stored manifest that don't say `networks`, as they are when they do; pure.

    None where its linkerd-config already names networks that cover these, however it spells them.
    """
    objects = list(manifest)
    configs = [one for one in objects if _is(one, "ConfigMap", "linkerd-config")]
    said = [networks_in(str((one.get("data") or {}).get("values", ""))) for one in configs]
    if not configs or all(covers(one, networks) for one in said):
        return ()
    found = []
    for one in objects:
        changed = copy.deepcopy(dict(one))
        if _is(one, "ConfigMap", "linkerd-config"):
            changed["data"]["values"] = _with_networks(str(one["data"]["values"]), networks)
        elif one.get("kind") == "Deployment":
            _amend_pod(changed["spec"]["template"]["spec"], networks)
        if changed != one:
            found.append(changed)
    return tuple(found)


def _is(obj: Mapping[str, Any], kind: str, name: str) -> bool:
    return obj.get("kind") == kind and obj.get("metadata", {}).get("name") == name


def _amend_pod(pod: dict[str, Any], networks: str) -> None:
    for container in (*(pod.get("initContainers") or ()), *(pod.get("containers") or ())):
        change = _container_patch(container, networks) or {}
        container.update({key: value for key, value in change.items() if key == "args"})
        values = {one["name"]: one["value"] for one in change.get("env", ())}
        for variable in container.get("env") or ():
            if variable["name"] in values:
                variable["value"] = values[variable["name"]]


def covers(text: str, wished: str) -> bool:
    """Whether networks cover all that `wished` names, so that a difference in spelling is left alone."""
    try:
        parsed = cidrs.parse(text)
    except cidrs.NetworksError:
        return False
    return all(parsed.covers_cidr(member) for member in wished.split(","))


def fields(deployments: Iterable[str]) -> tuple[tuple[str, str, str], ...]:
    """(kind, name, path) of the fields that hold the networks, shaped as `Desired.ours`."""
    found = [
        ("ConfigMap", "linkerd-config", "data.values"),
        ("Deployment", "linkerd-destination", 'spec.template.spec.containers[name="policy"].args'),
    ]
    for deployment in deployments:
        for field in ("containers", "initContainers"):
            found += [
                ("Deployment", deployment, f'spec.template.spec.{field}[name="linkerd-proxy"].env[name="{name}"]')
                for name in PROXY_VARIABLES
            ]
    return tuple(found)
