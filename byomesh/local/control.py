"""The daemon's own API, for the `byomesh local` command: JSON over HTTP on loopback, with a bearer token."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import grpc
import msgspec
from aiohttp import web
from google.cloud import container_v1

from byomesh.local.audit_stream import Troubles
from byomesh.local.cloud import LocalCloud
from byomesh.local.gke.population import Population
from byomesh.local.gke.state import LocalOptions, OrgPolicy
from byomesh.local.journal import Query
from byomesh.local.processes import ProcessError
from byomesh.local.rpc import Call, RpcFailure
from shared.model import ClusterRef, Phase, to_builtins

USER = "operator@example.com"
"""Who creates clusters from the command line, as their audit entries say."""
_ENDED = {Phase.READY, Phase.REFUSED, Phase.FAILED, Phase.STUCK}


class CreateRequest(msgspec.Struct, kw_only=True):
    """What `byomesh local create-cluster` asks for; seconds are real ones, whatever the pace."""

    name: str
    project: str
    location: str
    autopilot: bool = True
    allow_net_admin: bool = False
    labels: dict[str, str] = {}
    pods_cidr: str = ""
    services_cidr: str = ""
    operation_seconds: float = 2.0
    node_seconds: float = 0.0
    nodes: int = 2
    managed_namespaces: bool = True
    api_version: str = "v1"


class Control:
    """Answers the command's calls for one local cloud."""

    def __init__(self, cloud: LocalCloud, token: str, stop: Callable[[], None]) -> None:
        self._cloud = cloud
        self._token = token
        self._stop = stop

    def routes(self) -> list[web.RouteDef]:
        """The routes of an aiohttp application."""
        table: list[tuple[str, str, Callable[[web.Request], Awaitable[Any]]]] = [
            ("GET", "/status", self._status),
            ("POST", "/clusters", self._create),
            ("DELETE", "/clusters", self._delete),
            ("POST", "/population", self._populate),
            ("GET", "/kubeconfig", self._kubeconfig),
            ("GET", "/environment", self._environment),
            ("GET", "/wait", self._wait),
            ("GET", "/statuses", self._statuses),
            ("GET", "/events", self._events),
            ("GET", "/dead-letters", self._dead_letters),
            ("POST", "/publish", self._publish),
            ("POST", "/troubles", self._troubles),
            ("POST", "/org-policies", self._org_policies),
            ("POST", "/blocked-ports", self._blocked_ports),
            ("POST", "/restart", self._restart),
            ("POST", "/down", self._down),
        ]
        return [web.route(method, path, self._guarded(act)) for method, path, act in table]

    def _guarded(
        self, act: Callable[[web.Request], Awaitable[Any]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            if not hmac.compare_digest(request.headers.get("Authorization", ""), f"Bearer {self._token}"):
                return _problem(401, "this is another user's local cloud")
            try:
                return web.json_response(await act(request))
            except RpcFailure as failure:
                return _problem(409, f"{failure.code.name}: {failure.text}")
            except grpc.aio.AioRpcError as refused:
                return _problem(409, f"{refused.code().name}: {refused.details()}")
            except ProcessError as error:
                return _problem(500, str(error))
            except (LookupError, ValueError, msgspec.ValidationError) as error:
                return _problem(400, str(error.args[0]) if error.args else str(error))

        return answer

    def _find(self, request: web.Request) -> ClusterRef:
        """The cluster that a query names by its full name, or by its own name where that is unique."""
        wanted = request.query.get("cluster", "")
        alive = set(self._cloud.gke.clusters)
        told_of = {status.cluster for status in self._cloud.statuses.of() if status.cluster}
        found = _named(wanted, alive) or _named(wanted, told_of)
        if len(found) == 1:
            return found[0]
        if not found:
            names = ", ".join(sorted(ref.name for ref in alive | told_of)) or "none yet"
            raise LookupError(f"there is no cluster {wanted}; there are: {names}")
        raise LookupError(f"{wanted} names {len(found)} clusters; write one in full: {', '.join(map(str, found))}")

    async def _status(self, _request: web.Request) -> dict[str, Any]:
        cloud = self._cloud
        clusters = []
        for described in cloud.gke.describe():
            ref = ClusterRef.parse(described["name"])
            newest = cloud.statuses.newest(ref)
            inhabitants = cloud.clusters.inhabitants.get(ref)
            clusters.append(
                {
                    **described,
                    "mesh": to_builtins(newest) if newest else None,
                    "webhook_calls": dict(sorted(inhabitants.calls.items())) if inhabitants else {},
                    "blocked_ports": sorted(inhabitants.blocked) if inhabitants else [],
                }
            )
        return {
            "project": cloud.options.project,
            "pace": cloud.options.pace.divisor,
            "charts": cloud.options.charts,
            "apis": cloud.surroundings.apis,
            "pubsub": cloud.surroundings.pubsub,
            "functions": [
                {"name": one.name, "url": one.url, "pid": one.process.pid, "running": one.process.running}
                for one in cloud.functions.values()
            ],
            "clusters": clusters,
        }

    async def _create(self, request: web.Request) -> dict[str, Any]:
        asked = msgspec.json.decode(await request.read(), type=CreateRequest)
        cluster = container_v1.Cluster(name=asked.name, resource_labels=asked.labels)
        if asked.autopilot:
            cluster.autopilot.enabled = True
            if asked.allow_net_admin:
                cluster.autopilot.workload_policy_config.allow_net_admin = True
        if asked.pods_cidr:
            cluster.ip_allocation_policy.cluster_ipv4_cidr_block = asked.pods_cidr
        if asked.services_cidr:
            cluster.ip_allocation_policy.services_ipv4_cidr_block = asked.services_cidr
        real = self._cloud.options.pace.divisor
        options = LocalOptions(
            operation_seconds=asked.operation_seconds * real,
            node_seconds=asked.node_seconds * real,
            nodes=asked.nodes,
            managed_namespaces=asked.managed_namespaces,
            api_version=asked.api_version,
        )
        parent = f"projects/{asked.project or self._cloud.options.project}/locations/{asked.location}"
        call = Call(principal=USER, user_agent="byomesh local create-cluster")
        operation = await self._cloud.gke.create(
            container_v1.CreateClusterRequest(parent=parent, cluster=cluster), call, options
        )
        self._cloud.statuses.begin_anew(operation.ref)
        return {"cluster": f"{parent}/clusters/{asked.name}", "operation": operation.proto.name}

    async def _delete(self, request: web.Request) -> dict[str, Any]:
        ref = self._find(request)
        operation = await self._cloud.gke.delete(
            container_v1.DeleteClusterRequest(name=str(ref)), Call(principal=USER, user_agent="byomesh local")
        )
        return {"cluster": str(ref), "operation": operation.proto.name}

    async def _populate(self, request: web.Request) -> dict[str, Any]:
        """Fill the local GKE with stand-in clusters."""
        asked = msgspec.json.decode(await request.read(), type=Population)
        if not asked.project:
            asked = msgspec.structs.replace(asked, project=self._cloud.options.project)
        began = time.monotonic()
        made = await self._cloud.populator.populate(
            asked, Call(principal=USER, user_agent="byomesh local populate"), pace=self._cloud.options.pace.divisor
        )
        return {
            "first": str(made.refs[0]),
            "last": str(made.refs[-1]),
            "clusters": len(made.refs),
            "told": made.told.isoformat() if made.told else None,
            "seconds": round(time.monotonic() - began, 3),
        }

    async def _kubeconfig(self, request: web.Request) -> dict[str, Any]:
        ref = self._find(request)
        plane = self._cloud.clusters.planes.get(ref)
        if plane is None:
            raise LookupError(f"{ref} has no control plane (any more, or yet)")
        return {"cluster": str(ref), "kubeconfig": plane.admin_kubeconfig()}

    async def _environment(self, request: web.Request) -> dict[str, Any]:
        person = request.query.get("as", "")
        if person:
            environment = self._cloud.surroundings.of_person(person, self._cloud.identity)
            self._cloud.logging.readers.add(person)
            return {"environment": environment}
        return {"environment": self._cloud.surroundings.of_operator()}

    async def _wait(self, request: web.Request) -> dict[str, Any]:
        """The newest status, once it is an end or `seconds` are over."""
        ref = self._find(request)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(float(request.query.get("seconds", "0"))):
                while (status := self._cloud.statuses.newest(ref)) is None or status.phase not in _ENDED:
                    await self._cloud.statuses.changed()
        newest = self._cloud.statuses.newest(ref)
        return {"cluster": str(ref), "status": to_builtins(newest) if newest else None}

    async def _statuses(self, request: web.Request) -> dict[str, Any]:
        ref = self._find(request) if "cluster" in request.query else None
        return {"statuses": [to_builtins(status) for status in self._cloud.statuses.of(ref)]}

    async def _events(self, request: web.Request) -> dict[str, Any]:
        ref = str(self._find(request)) if "cluster" in request.query else None
        records = self._cloud.journal.query(Query(cluster=ref, target=request.query.get("function")))
        after = int(request.query.get("after", "0"))
        return {"events": [msgspec.to_builtins(record) for record in records[after:]], "next": len(records)}

    async def _dead_letters(self, _request: web.Request) -> dict[str, Any]:
        return {
            "dead_letters": [
                {
                    "topic": letter.topic,
                    "subscription": letter.subscription,
                    "attempts": letter.attempts,
                    "data": letter.message.data.decode(errors="replace"),
                    "attributes": dict(letter.message.attributes),
                }
                for letter in self._cloud.pubsub.dead_letters()
            ]
        }

    async def _publish(self, request: web.Request) -> dict[str, Any]:
        body = await request.json()
        topic = self._cloud.surroundings.topic(body["topic"])
        message_id = await self._cloud.pubsub.publish(topic, body["data"].encode(), body.get("attributes") or {})
        return {"message_id": message_id}

    async def _troubles(self, request: web.Request) -> dict[str, Any]:
        self._cloud.eventarc.troubles = Troubles(**await request.json())
        return {}

    async def _org_policies(self, request: web.Request) -> dict[str, Any]:
        """Deny allow-net-admin in a project, or no longer; returns where it is denied."""
        body = await request.json()
        denied = self._cloud.gke.org_policies
        if body["deny"]:
            denied[body["project"]] = OrgPolicy()
        else:
            denied.pop(body["project"], None)
        return {"denied": sorted(denied)}

    async def _blocked_ports(self, request: web.Request) -> dict[str, Any]:
        """Block a port of a cluster's pods for its control plane, or no longer; returns which are blocked."""
        ref, body = self._find(request), await request.json()
        inhabitants = self._cloud.clusters.inhabitants.get(ref)
        if inhabitants is None:
            raise LookupError(f"{ref} has no control plane (any more, or yet)")
        port = int(body["port"])
        if body["block"]:
            inhabitants.blocked.add(port)
        else:
            inhabitants.blocked.discard(port)
        return {"cluster": str(ref), "blocked_ports": sorted(inhabitants.blocked)}

    async def _restart(self, request: web.Request) -> dict[str, Any]:
        name, known = (await request.json())["function"], self._cloud.functions
        if name not in known:
            raise LookupError(f"there is no function {name}; there are: {', '.join(known)}")
        return {"pid": await self._cloud.restart(name)}

    async def _down(self, _request: web.Request) -> dict[str, Any]:
        self._stop()
        return {}


def _named(wanted: str, refs: Iterable[ClusterRef]) -> list[ClusterRef]:
    return sorted(ref for ref in refs if wanted in (str(ref), ref.name))


def _problem(code: int, text: str) -> web.Response:
    return web.Response(status=code, text=json.dumps({"error": text}), content_type="application/json")
