"""How an owner makes their own code agree with the policy, so that nobody undoes anybody's work; pure."""

from __future__ import annotations

import json

from shared.cluster import gcloud_update
from shared.model import ClusterRef

_ON = "--workload-policies=allow-net-admin"
_OFF = "--remove-workload-policies=allow-net-admin"


def flag(*, allowed: bool) -> str:
    """The flag of `gcloud container clusters update` (and, to turn it on, of `create-auto`)."""
    return _ON if allowed else _OFF


def gcloud(ref: ClusterRef, *, allowed: bool) -> str:
    """The command that makes a cluster agree (https://cloud.google.com/sdk/gcloud/reference/container/clusters)."""
    return gcloud_update(ref, flag(allowed=allowed))


def hcl(ref: ClusterRef, *, allowed: bool) -> str:
    """The resource in Terraform's language: `allow_net_admin` is an argument of google_container_cluster itself."""
    arguments = {
        "name": json.dumps(ref.name),
        "project": json.dumps(ref.project),
        "location": json.dumps(ref.location),
        "enable_autopilot": "true",
        "allow_net_admin": str(allowed).lower(),
    }
    width = max(map(len, arguments))
    lines = (f"  {key.ljust(width)} = {value}" for key, value in arguments.items())
    return "\n".join((f'resource "google_container_cluster" {json.dumps(ref.name)} {{', *lines, "}"))


def net_admin(ref: ClusterRef, *, allowed: bool) -> tuple[str, str]:
    """Both, as a status has them."""
    return gcloud(ref, allowed=allowed), hcl(ref, allowed=allowed)


def in_words(ref: ClusterRef, *, allowed: bool) -> str:
    """Both in half a sentence."""
    argument = f"allow_net_admin = {str(allowed).lower()}"
    return f"{gcloud(ref, allowed=allowed)}, or {argument} in the resource google_container_cluster"
