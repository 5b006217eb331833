"""What the cluster itself says of its mesh: ConfigMap `byomesh-status`, written only if it changed, without times."""

from __future__ import annotations

from shared.kube import Kube
from shared.mesh.lease import NAMESPACE, ensure_namespace
from shared.mesh.ownership import FIELD_MANAGER, MANAGED_BY
from shared.model import MeshStatus, encode

NAME = "byomesh-status"
_PATH = f"/api/v1/namespaces/{NAMESPACE}/configmaps/{NAME}"


def data_of(status: MeshStatus) -> dict[str, str]:
    """What is written of a status: nothing that differs between two looks at an unchanged cluster."""
    return {
        "checks": encode(status.checks).decode(),
        "mesh": status.mesh,
        "message": status.message,
        # Absent where there are none: what has no extensions is written as before there were any.
        **(
            {"options": "\n".join(f"{name}: {words}" for name, words in status.options.items())}
            if status.options
            else {}
        ),
        "netAdmin": {None: "", True: "true", False: "false"}[status.net_admin],
        "phase": status.phase.value,
        "reason": status.reason,
        "version": status.version,
    }


def write(kube: Kube, status: MeshStatus) -> bool:
    """Write a status into its cluster; returns whether anything had to be written.

    Raises:
        Temporary: the API server can't be reached.
    """
    data = data_of(status)
    there = kube.get(_PATH)
    known = (there or {}).get("data") or {}
    if all(known.get(key) == text for key, text in data.items()):
        return False
    ensure_namespace(kube)
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": dict(MANAGED_BY)},
        "data": data,
    }
    kube.apply(_PATH, body, field_manager=FIELD_MANAGER, force=True)
    return True
