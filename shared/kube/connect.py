"""How a connection to a cluster is made: with the function's own token, or as an operator's kubeconfig says."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import google.auth
import google.auth.transport.requests
import kubernetes.config
from kubernetes import client

from shared import google_errors
from shared.cluster import ControlPlaneAccess
from shared.errors import Refused
from shared.kube.api import Kube

Token = Callable[[], str]
"""Gives a bearer token that is valid now; called for each request."""


class AccountToken:
    """A token of the function's own service account (scope cloud-platform), refreshed shortly before it runs out."""

    def __init__(self, credentials: Any) -> None:
        self._credentials = credentials
        self._request = google.auth.transport.requests.Request()
        self._lock = threading.Lock()
        self._refused = False

    def __call__(self) -> str:
        """The token; raises Temporary where the token server can't answer."""
        with self._lock, google_errors.translated(tried="to get a token for the cluster"):
            if self._refused or not self._credentials.valid:
                self._credentials.refresh(self._request)
                self._refused = False
            return str(self._credentials.token)

    def renew(self) -> None:
        """Get another token at the next call, for somebody doesn't take this one."""
        self._refused = True


def default_token() -> AccountToken:
    """The token of this process's own account.

    Raises:
        Temporary: there are no credentials.
    """
    with google_errors.translated(tried="to find the function's credentials"):
        credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    return AccountToken(credentials)


def connect(access: ControlPlaneAccess, token: Token, *, cluster: str = "", patience: float = math.inf) -> Kube:
    """A connection to a cluster's API server; dials at the first request.

    Args:
        access: the way there.
        token: gives the bearer token for each request.
        cluster: full resource name, for errors.
        patience: how many seconds all requests of the connection may take together.

    Raises:
        Refused: there is no way there from outside the cluster's network.
    """
    if not access.endpoint:
        raise Refused(
            "NoControlPlaneAccess",
            access.private_only,
            cluster=cluster,
            tried="to find an endpoint that can be reached from here",
            remedy="open the endpoint, then publish the request again",
        )
    configuration = client.Configuration(host=access.server)
    configuration.ca_cert_data = access.ca_pem

    def refresh(configuration: client.Configuration) -> None:
        configuration.api_key["BearerToken"] = token()

    # Without a key there at the start, the client never calls the hook (configuration.py, auth_settings).
    configuration.api_key = {"BearerToken": ""}
    configuration.api_key_prefix = {"BearerToken": "Bearer"}
    configuration.refresh_api_key_hook = refresh  # type: ignore[assignment]
    return Kube(configuration, cluster=cluster, renew=getattr(token, "renew", None), patience=patience)


def from_kubeconfig(path: Path, *, context: str | None = None) -> Kube:
    """A connection as an operator's kubeconfig says.

    Raises:
        Refused: the file can't be used.
    """
    configuration = client.Configuration()
    try:
        kubernetes.config.load_kube_config(  # type: ignore[no-untyped-call]
            str(path), context=context, client_configuration=configuration
        )
    except (kubernetes.config.ConfigException, OSError) as error:
        remedy = "name a kubeconfig with a current context"
        raise Refused("BadKubeconfig", f"{path}: {error}", tried="to read the kubeconfig", remedy=remedy) from error
    return Kube(configuration, cluster=str(configuration.host))
