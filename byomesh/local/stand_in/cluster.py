"""What a stand-in cluster does by itself: what GKE puts in, admission, and pods that run at once."""

from __future__ import annotations

import functools
import hashlib
import ipaddress
import itertools
from collections.abc import Callable
from typing import Any

import msgspec
import yaml

from byomesh.local import gateway_api, warden
from byomesh.local.inhabitants import injector
from byomesh.local.stand_in.kinds import Json
from byomesh.local.stand_in.merging import json_patched
from byomesh.local.stand_in.store import Denied, Path, Store, Write

_NODES = 2
_INJECTED = ("pods", "services")
_INJECTOR = "linkerd-proxy-injector"
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RUNNING = {"state": {"running": {}}, "ready": True, "started": True, "restartCount": 0}
_ENDED = {"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}, "ready": True, "restartCount": 0}


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What GKE decides of a cluster.

    Attributes:
        name: its own.
        autopilot: whether Warden guards it.
        net_admin: whether Warden allows NET_ADMIN now.
        pods: the pods' range.
        services: the Services' range.
        pods_get_ready: whether the images of pods can be pulled.
    """

    name: str
    autopilot: bool
    net_admin: Callable[[], bool]
    pods: str
    services: str
    pods_get_ready: bool = True


def populated(facts: Facts) -> Store:
    """A new cluster, as GKE hands it over, with its nodes."""
    store = Store()
    behaviour = _Behaviour(store, facts)
    store.admit = behaviour.admit
    store.settled = behaviour.settled
    for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
        labels = {"kubernetes.io/metadata.name": name}
        store.put(f"/api/v1/namespaces/{name}", {"metadata": {"labels": labels}, "status": {"phase": "Active"}})
        store.put(f"/api/v1/namespaces/{name}/serviceaccounts/default", {})
    ranges = [str(one) for one in itertools.islice(ipaddress.ip_network(facts.pods).subnets(new_prefix=24), _NODES)]
    for number, cidr in enumerate(ranges, 1):
        status = {
            "addresses": [{"type": "InternalIP", "address": f"10.128.0.{number + 1}"}],
            "conditions": [{"type": "Ready", "status": "True"}],
            "allocatable": {"pods": "110"},
        }
        name = f"gk3-{facts.name}-{number}"
        store.put(f"/api/v1/nodes/{name}", {"spec": {"podCIDR": cidr, "podCIDRs": [cidr]}, "status": status})
    first = str(ipaddress.ip_network(facts.services)[1])
    ports = [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 443}]
    spec = {"clusterIP": first, "clusterIPs": [first], "ports": ports, "type": "ClusterIP"}
    store.put("/api/v1/namespaces/default/services/kubernetes", {"spec": spec})
    store.put("/apis/networking.k8s.io/v1/servicecidrs/kubernetes", {"spec": {"cidrs": [facts.services]}})
    for definition in _definitions():
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{definition['metadata']['name']}"
        store.put(path, definition)
    store.writes.clear()
    return store


@functools.cache
def _definitions() -> list[Json]:
    return [dict(one) for one in gateway_api.definitions()]


class _Behaviour:
    def __init__(self, store: Store, facts: Facts) -> None:
        self._store = store
        self._facts = facts
        self._addresses = itertools.count(2)

    def admit(self, write: Write) -> Json:
        """The proxy injector, then Warden; and what is given to new objects."""
        obj, path = write.wished, write.path
        if path.kind.plural == "pods" and write.there is None:
            obj = self._injected(path, obj)
        if self._facts.autopilot and path.kind.kind in warden.POD_SPEC and path.namespace != "kube-system":
            review = {"uid": "", "kind": {"kind": path.kind.kind}, "object": obj, "oldObject": write.there}
            response = warden.judge(review, allow_net_admin=self._facts.net_admin())
            if not response["allowed"]:
                words = response["status"]["message"]
                raise Denied(f'admission webhook "{warden.NAME}" denied the request: {words}')
        if path.kind.plural == "services":
            obj = self._addressed(obj)
        return obj

    def settled(self, path: Path, obj: Json) -> None:
        """What controllers and kubelets make of a change."""
        if path.kind.plural == "namespaces":
            self._store.put(f"/api/v1/namespaces/{path.name}/serviceaccounts/default", {})
            labels = {**(obj["metadata"].get("labels") or {}), "kubernetes.io/metadata.name": path.name}
            namespace = {**obj, "metadata": {**obj["metadata"], "labels": labels}, "status": {"phase": "Active"}}
            self._store.put(f"/api/v1/namespaces/{path.name}", namespace)
        elif path.kind.plural == "deployments":
            self._rolled_out(path, obj)

    def _injected(self, path: Path, pod: Json) -> Json:
        """A new pod after the proxy injector, where there is one that is called for it."""
        configurations = self._store.objects("mutatingwebhookconfigurations")
        if not any(name.endswith("/linkerd-proxy-injector-webhook-config") for name, _ in configurations):
            return pod
        config = self._store.get("/api/v1/namespaces/linkerd/configmaps/linkerd-config")
        roots = self._store.get("/api/v1/namespaces/linkerd/configmaps/linkerd-identity-trust-roots")
        if config is None or roots is None or path.namespace in ("linkerd", "kube-system"):
            return pod
        namespace = self._store.get(f"/api/v1/namespaces/{path.namespace}") or {}
        facts = injector.Facts(
            control_plane="linkerd",
            values=_values(config["data"]["values"]),
            anchors=roots["data"]["ca-bundle.crt"],
            namespace_annotations=(namespace.get("metadata") or {}).get("annotations") or {},
        )
        request = {"object": pod, "kind": {"kind": "Pod"}, "namespace": path.namespace}
        try:
            return json_patched(pod, injector.patch(request, facts))
        except injector.InjectionError as error:
            raise Denied(f'admission webhook "{_INJECTOR}.linkerd.io" denied the request: {error}') from error

    def _addressed(self, service: Json) -> Json:
        spec = service.get("spec") or {}
        if spec.get("clusterIP") or spec.get("type") == "ExternalName":
            return service
        address = str(ipaddress.ip_network(self._facts.services)[next(self._addresses)])
        return {**service, "spec": {"type": "ClusterIP", **spec, "clusterIP": address, "clusterIPs": [address]}}

    def _rolled_out(self, path: Path, deployment: Json) -> None:
        """The ReplicaSet of the template, its pods, and nothing of an older one's."""
        replicas = int(deployment["spec"].get("replicas", 1))
        template = deployment["spec"]["template"]
        digest = hashlib.sha256(msgspec.json.encode(template, order="sorted")).hexdigest()[:10]
        name, namespace = f"{path.name}-{digest}", f"/namespaces/{path.namespace}"
        sets = f"/apis/apps/v1{namespace}/replicasets"
        pods = f"/api/v1{namespace}/pods"
        for place, old in list(self._store.objects("replicasets")):
            if place.startswith(f"{sets}/") and _owner(old) == path.name and place != f"{sets}/{name}":
                self._store.remove(place)
                for pod in [
                    one for one, held in self._store.objects("pods") if _owner(held) == place.rpartition("/")[2]
                ]:
                    self._store.remove(pod)
        ready = replicas if self._facts.pods_get_ready else 0
        counts = {"replicas": replicas, "readyReplicas": ready, "availableReplicas": ready}
        labels = {**(template["metadata"].get("labels") or {}), "pod-template-hash": digest}
        self._store.put(
            f"{sets}/{name}",
            {
                "metadata": {"labels": labels, "ownerReferences": [_reference(deployment, "Deployment")]},
                "spec": {"replicas": replicas, "selector": deployment["spec"]["selector"], "template": template},
                "status": {**counts, "observedGeneration": 1},
            },
        )
        owner = _reference({"metadata": {"name": name, "uid": digest}}, "ReplicaSet")
        for number in range(replicas):
            metadata = {**template["metadata"], "labels": labels, "ownerReferences": [owner]}
            body = {"metadata": metadata, "spec": {**template["spec"], "nodeName": f"gk3-{self._facts.name}-1"}}
            status = self._running(template["spec"]) if ready else _waiting(template["spec"])
            self._store.put(f"{pods}/{name}-{number}", {**body, "status": status})
        status = {**counts, "updatedReplicas": replicas, "observedGeneration": deployment["metadata"]["generation"]}
        self._store.put(f"/apis/apps/v1{namespace}/deployments/{path.name}", {**deployment, "status": status})

    def _running(self, spec: Json) -> Json:
        address = str(ipaddress.ip_network(self._facts.pods)[next(self._addresses) % 200 + 2])
        return {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "hostIP": "10.128.0.2",
            "conditions": [{"type": kind, "status": "True"} for kind in ("PodScheduled", "Ready", "ContainersReady")],
            "containerStatuses": [_status(one, _RUNNING) for one in spec.get("containers") or ()],
            "initContainerStatuses": [
                _status(one, _RUNNING if one.get("restartPolicy") == "Always" else _ENDED)
                for one in spec.get("initContainers") or ()
            ],
        }


def _waiting(spec: Json) -> Json:
    """The status of a pod whose images can't be pulled."""
    waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}
    state = {"state": {"waiting": waiting}, "ready": False, "started": False, "restartCount": 0}
    scheduled = {"type": "PodScheduled", "status": "True"}
    unready = [{"type": kind, "status": "False"} for kind in ("Ready", "ContainersReady")]
    return {
        "phase": "Pending",
        "hostIP": "10.128.0.2",
        "conditions": [scheduled, *unready],
        "containerStatuses": [_status(one, state) for one in spec.get("containers") or ()],
        "initContainerStatuses": [_status(one, state) for one in spec.get("initContainers") or ()],
    }


def _status(container: Json, state: Json) -> Json:
    return {**state, "name": container["name"], "image": container.get("image", ""), "imageID": ""}


def _reference(owner: Json, kind: str) -> Json:
    metadata = owner["metadata"]
    return {"apiVersion": "apps/v1", "kind": kind, "name": metadata["name"], "uid": metadata["uid"], "controller": True}


def _owner(obj: Json) -> str:
    references = obj["metadata"].get("ownerReferences") or [{}]
    return str(references[0].get("name", ""))


@functools.lru_cache(maxsize=32)
def _values(text: str) -> Json:
    found: Json = yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe loader, written in C where there is one
    return found
