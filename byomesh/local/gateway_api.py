"""GKE's pre-installed Gateway API resources, as CustomResourceDefinitions with open schemas.

Enough for a client that looks whether they are there and in which versions; `linkerd check` wants the httproutes or
grpcroutes definition, with v1 among its versions (linkerd2 pkg/healthcheck/healthcheck.go, CheckGatewayAPICRDs).
"""

from __future__ import annotations

import importlib.resources
from typing import Any

import yaml

GROUP = "gateway.networking.k8s.io"


def definitions() -> list[dict[str, Any]]:
    """The CustomResourceDefinitions (apiextensions.k8s.io/v1) to create in a new cluster, as JSON."""
    table = yaml.safe_load(importlib.resources.files("byomesh.local").joinpath("gateway_api.yaml").read_text("utf-8"))
    return [_definition(table, resource) for resource in table["resources"]]


def _definition(table: dict[str, Any], resource: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{resource['plural']}.{GROUP}",
            "annotations": {
                # The API server refuses a definition in a *.k8s.io group that names no approval.
                "api-approved.kubernetes.io": table["approval"],
                f"{GROUP}/bundle-version": table["bundle"],
                f"{GROUP}/channel": "standard",
            },
        },
        "spec": {
            "group": GROUP,
            "names": {
                "categories": ["gateway-api"],
                "kind": resource["kind"],
                "listKind": f"{resource['kind']}List",
                "plural": resource["plural"],
                "shortNames": resource["short"],
                "singular": resource["singular"],
            },
            "scope": resource["scope"],
            "versions": [_version(name, stored=name == resource["stored"]) for name in resource["served"]],
        },
    }


def _version(name: str, *, stored: bool) -> dict[str, Any]:
    return {
        "name": name,
        "served": True,
        "storage": stored,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
