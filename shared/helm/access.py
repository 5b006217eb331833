"""Helm's way to a cluster, and the surroundings of one run."""

from __future__ import annotations

import base64
import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from shared.cluster import ControlPlaneAccess

_PASSED_ON = ("PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
"""All that Helm gets of a function's environment: how to find programs, authorities and the way out."""

Kubeconfig = Callable[[], bytes] | Path
"""A kubeconfig made for each run (with a token that is valid now), or an operator's own file."""


def kubeconfig(access: ControlPlaneAccess, token: str) -> bytes:
    """A kubeconfig (JSON, which is YAML) for one cluster and a bearer token; pure."""
    cluster: dict[str, str] = {"server": access.server}
    if access.ca_pem is not None:
        cluster["certificate-authority-data"] = base64.b64encode(access.ca_pem.encode()).decode("ascii")
    return msgspec.json.encode(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "cluster", "cluster": cluster}],
            "users": [{"name": "user", "user": {"token": token}}],
            "contexts": [{"name": "context", "context": {"cluster": "cluster", "user": "user"}}],
            "current-context": "context",
        }
    )


@contextlib.contextmanager
def workspace(access: Kubeconfig | None) -> Iterator[dict[str, str]]:
    """An environment whose folders are this run's own; nothing secret is kept there.

    An operator's kubeconfig may name a credential plugin, which needs the operator's whole environment.
    """
    with tempfile.TemporaryDirectory(prefix="byomesh-helm-") as folder:
        homes = {f"HELM_{kind}_HOME": f"{folder}/{kind.lower()}" for kind in ("CACHE", "CONFIG", "DATA")}
        homes |= {"KUBECACHEDIR": f"{folder}/kube"}
        if isinstance(access, Path):
            yield {name: value for name, value in os.environ.items() if not name.startswith("HELM_")} | homes
        else:
            passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
            yield {**passed_on, **homes, "HOME": folder}
