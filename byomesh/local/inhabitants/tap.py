"""Viz's tap API (viz/tap/api/handlers.go), as far as an API server asks for it by itself: discovery.

The real one takes only callers with a certificate of the cluster's requestheader CA; this one takes any, as nobody but
the API server can dial it. It has no proxy to tap.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

GROUP, VERSION = "tap.linkerd.io", "v1alpha1"
_GROUP_VERSION = {"groupVersion": f"{GROUP}/{VERSION}", "version": VERSION}
_RESOURCES = {
    "namespaces": False,
    "pods": True,
    "replicationcontrollers": True,
    "services": True,
    "daemonsets": True,
    "deployments": True,
    "replicasets": True,
    "statefulsets": True,
    "jobs": True,
    "cronjobs": True,
}
"""What can be tapped, and whether it is of a namespace."""


def answer(path: str) -> web.Response:
    """The answer to a GET of a path; 501 to what would tap, 404 to the rest."""
    if path in ("/healthz", "/healthz/log", "/healthz/ping"):
        return web.Response(text="ok")
    documents = _documents()
    if path in documents:
        return web.json_response(documents[path])
    if path.startswith(f"/apis/{GROUP}/{VERSION}/watch/"):
        return web.json_response({"error": "the local cloud runs no proxies that could be tapped"}, status=501)
    return web.json_response({"paths": sorted(documents)}, status=404)


def _documents() -> dict[str, Any]:
    group = {"name": GROUP, "versions": [_GROUP_VERSION], "preferredVersion": _GROUP_VERSION}
    resources = [
        {"name": f"{name}{suffix}", "singularName": "", "namespaced": namespaced, "kind": "Tap", "verbs": ["watch"]}
        for name, namespaced in _RESOURCES.items()
        for suffix in ("", "/tap")
    ]
    return {
        "/": {"paths": ["/apis", f"/apis/{GROUP}", f"/apis/{GROUP}/{VERSION}", "/healthz", "/openapi/v2", "/version"]},
        "/apis": {"kind": "APIGroupList", "groups": [group]},
        f"/apis/{GROUP}": {"kind": "APIGroup", "apiVersion": "v1", **group},
        f"/apis/{GROUP}/{VERSION}": {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": f"{GROUP}/{VERSION}",
            "resources": resources,
        },
        "/openapi/v2": {"swagger": "2.0", "info": {"title": "Api", "version": "v0"}, "paths": {}},
        "/version": {"major": "", "minor": "", "gitVersion": ""},
    }
