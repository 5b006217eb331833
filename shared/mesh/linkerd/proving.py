"""The admission proof: a pod that should get a proxy is created as a dry run, and what comes back is looked at.

`linkerd check` can't tell a blocked webhook port from a healthy mesh: the chart's failurePolicy is Ignore, so that pods
are admitted without a proxy and nothing says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from shared.errors import ByomeshError
from shared.kube import AdmissionDenied, IamNotReady, Invalid, Kube, NotFound, Unavailable
from shared.mesh.fold import Injection, names
from shared.mesh.linkerd.checks import injector_ready
from shared.mesh.snapshot import Admission, Admitted, MeshSnapshot

_PREFERRED = "default"
_TRIES = 3
_PAUSE = 0.7
"""Seconds: an API server knows a webhook, or its Service's endpoints, a moment after they were written."""
_UNCALLED = "failed calling webhook"
"""k8s.io/apiserver pkg/admission/plugin/webhook/errors, ErrCallingWebhook."""
_INJECTOR_WEBHOOK = "linkerd-proxy-injector"
"""Begins the webhook's own name, linkerd-proxy-injector.linkerd.io (charts/…/proxy-injector-rbac.yaml)."""


def proven(kube: Kube, snapshot: MeshSnapshot, *, sleep: Callable[[float], None] = time.sleep) -> MeshSnapshot:
    """The snapshot with the proof's end; as it was where there is no injector to ask yet, or no pod that it looks at.

    Writes nothing. One request where the proof holds, and a few more where it doesn't at once.

    Raises:
        Temporary: the API server can't be reached.
    """
    namespace = proving_namespace(snapshot)
    if not namespace or not injector_ready(snapshot):
        return snapshot
    found = admission(kube, namespace)
    for _ in range(_TRIES - 1):
        if found.outcome not in (Admitted.PLAIN, Admitted.UNCALLED):
            break
        sleep(_PAUSE)
        found = admission(kube, namespace)
    return msgspec.structs.replace(snapshot, admission=found)


def proving_namespace(snapshot: MeshSnapshot) -> str:
    """A namespace in which an annotated pod gets a proxy: `default` where that is one; "" where there is none."""
    webhook = next((one for one in snapshot.mutating_webhooks if one.name == names.INJECTOR), None)
    injection = Injection(snapshot.namespaces, webhook, snapshot.namespace)
    wished = {names.INJECT: "enabled"}
    usable = [name for name in injection.namespaces if injection.wanted(name, {}, wished)]
    return _PREFERRED if _PREFERRED in usable else next(iter(usable), "")


def admission(kube: Kube, namespace: str) -> Admission:
    """How a dry run ends, once; raises Temporary where the API server can't be reached."""
    try:
        pod = kube.create(f"/api/v1/namespaces/{namespace}/pods", annotated_pod(namespace), dry_run=True)
    except (AdmissionDenied, IamNotReady, Invalid, NotFound) as denied:
        ours = f'admission webhook "{_INJECTOR_WEBHOOK}' in denied.problem
        return Admission(Admitted.REJECTED if ours else Admitted.DENIED, namespace, denied.problem)
    except Unavailable as error:
        return _uncalled(error, namespace)
    return Admission(Admitted.INJECTED if proxy_of(pod) is not None else Admitted.PLAIN, namespace)


def _uncalled(error: ByomeshError, namespace: str) -> Admission:
    if _UNCALLED not in error.problem:
        raise error
    ours = f'{_UNCALLED} "{_INJECTOR_WEBHOOK}' in error.problem
    return Admission(Admitted.UNCALLED if ours else Admitted.DENIED, namespace, error.problem)


def proxy_of(pod: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """A pod's proxy, a native sidecar or a container; None where it has none."""
    spec = pod.get("spec") or {}
    containers = (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()))
    return next((container for container in containers if container.get("name") == names.PROXY), None)


def annotated_pod(namespace: str) -> dict[str, Any]:
    """A pod that asks for a proxy and, by itself, for nothing that any policy forbids."""
    resources = {"cpu": "50m", "memory": "64Mi"}
    security: dict[str, Any] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": 65534,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {
        "name": "pause",
        "image": "registry.k8s.io/pause:3.10",
        "resources": {"requests": resources, "limits": resources},
        "securityContext": security,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "byomesh-admission-",
            "namespace": namespace,
            "annotations": {names.INJECT: "enabled"},
        },
        "spec": {"containers": [container], "restartPolicy": "Never"},
    }
