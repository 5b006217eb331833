"""One local cloud: every part started in order, wired to the others, and stopped again."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

from aiohttp import web
from google.cloud import secretmanager_v1

from byomesh.local import cloud_storage, functions, managed_namespaces, private_ca, rpc, secret_manager, topics
from byomesh.local.audit_stream import Troubles
from byomesh.local.authority import Authority, Issued
from byomesh.local.backends import Backends, StandIns
from byomesh.local.build import Binaries
from byomesh.local.cloud_logging.service import CloudLogging
from byomesh.local.cloud_logging.service import handler as logging_handler
from byomesh.local.cloud_logging.stdout import Printed
from byomesh.local.clusters import Clusters
from byomesh.local.courier import Courier
from byomesh.local.environment import LOCATION, LOG_READERS, OPERATOR, Surroundings
from byomesh.local.eventarc import Eventarc, Trigger
from byomesh.local.gke.manager import Gke
from byomesh.local.gke.server import handler as gke_handler
from byomesh.local.home import Home
from byomesh.local.identity import Identity
from byomesh.local.journal import Journal
from byomesh.local.pace import Pace
from byomesh.local.populate import Populator, Told
from byomesh.local.pubsub.rest import publish_routes
from byomesh.local.pubsub.service import PubSub, serving
from byomesh.local.serving import serve
from byomesh.local.sink import Sink, aggregated
from byomesh.local.stand_in import StandIn
from byomesh.local.statuses import Statuses
from byomesh.local.tasks.service import CloudTasks
from byomesh.local.warden import Warden
from shared.policy_source import is_object

TRIGGERS = {"CreateCluster": "enable_net_admin", "UpdateCluster": "enforce_policy"}
"""Which method's audit entries Eventarc brings to which function."""
_VERSIONS = ("v1", "v1beta1")
ORGANIZATION = "organization"
Progress = Callable[[str], None]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a local cloud is set up.

    Attributes:
        project: project of the automation, and of clusters that name none.
        pace: divides every delay of Google's services.
        pod_seconds: how long a pod takes from its node to readiness.
        charts: folder of charts; "" means the mesh's own repository.
        troubles: what happens to audit entries on their way from the start.
        ca_service: whether the fleet trusts a pool of Certificate Authority Service, in place of a secret.
        scope: `project`, where Eventarc delivers audit entries, or `organization`, where aggregated log sinks do.
        settings: environment variables of the functions that replace the local cloud's own.
        threads: requests that each function handles at a time.
    """

    project: str = "demo-project"
    pace: Pace = dataclasses.field(default_factory=lambda: Pace(10.0))
    pod_seconds: float = 0.0
    charts: str = ""
    troubles: Troubles = dataclasses.field(default_factory=Troubles)
    ca_service: bool = False
    scope: str = "project"
    settings: dict[str, str] = dataclasses.field(default_factory=dict)
    threads: int = functions.THREADS


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LocalCloud:
    """A local cloud that is up; made by `running`."""

    home: Home
    options: Options
    surroundings: Surroundings
    journal: Journal
    pubsub: PubSub
    eventarc: Eventarc
    tasks: CloudTasks
    gke: Gke
    clusters: Clusters
    faults: rpc.Faults
    statuses: Statuses
    logging: CloudLogging
    identity: Identity
    populator: Populator
    functions: dict[str, functions.Function]

    async def restart(self, name: str) -> int:
        """Start a function anew on its old address, whether or not it still runs; returns its new process id."""
        old = self.functions[name]
        await old.process.stop()
        self.logging.restarting(name)
        port = int(old.url.rpartition(":")[2])
        self.functions[name] = _start_function(self.surroundings, self.home, name, port, self.options.threads)
        await functions.wait_until_listening(self.functions[name])
        return self.functions[name].process.pid


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What every part stands on."""

    stack: contextlib.AsyncExitStack
    home: Home
    options: Options
    binaries: Binaries
    authority: Authority
    issued: Issued
    identity: Identity
    journal: Journal
    courier: Courier


class Logs(NamedTuple):
    """Where an audit entry is kept, and the aggregated sinks over it."""

    logging: CloudLogging
    sinks: tuple[Sink, ...]


@contextlib.asynccontextmanager
async def running(home: Home, options: Options, binaries: Binaries, say: Progress) -> AsyncIterator[LocalCloud]:
    """Start a local cloud, yield it, and stop every process of it in the end.

    Raises:
        ProcessError: a part ended or wasn't ready in time; with the last lines of its log.
    """
    async with contextlib.AsyncExitStack() as stack:
        ground = await _ground(stack, home, options, binaries)
        say("Pub/Sub")
        faults = rpc.Faults()
        pubsub, rest = await _start_pubsub(ground, faults)
        ports = dict(zip(functions.NAMES, functions.free_ports(len(functions.NAMES)), strict=True))
        logging = _make_logging(ground)
        stand_ins = StandIns(ground.authority.pem, await stack.enter_async_context(StandIn(_tls(ground))))
        sinks = await aggregated(stack, pubsub, options.project, options.troubles)
        clusters, eventarc, gke = await _start_gke(ground, ports, stand_ins, Logs(logging, sinks))
        say("GKE, Cloud Tasks, Secret Manager and Cloud Logging")
        tasks, surroundings = await _start_apis(ground, gke, logging, faults, (pubsub.address, rest))
        statuses = await topics.make(stack, pubsub, surroundings, ports)
        say("the functions")
        started = {
            name: _start_function(surroundings, home, name, ports[name], options.threads) for name in functions.NAMES
        }
        stack.push_async_callback(functions.stop, started)
        await asyncio.gather(*(functions.wait_until_listening(function) for function in started.values()))
        yield LocalCloud(
            home=home,
            options=options,
            surroundings=surroundings,
            journal=ground.journal,
            pubsub=pubsub,
            eventarc=eventarc,
            tasks=tasks,
            gke=gke,
            clusters=clusters,
            faults=faults,
            statuses=statuses,
            logging=logging,
            identity=ground.identity,
            populator=Populator(gke, Told(logging.write, eventarc.write, sinks[0].write), statuses),
            functions=started,
        )


async def _ground(stack: contextlib.AsyncExitStack, home: Home, options: Options, binaries: Binaries) -> _Ground:
    home.logs.mkdir(parents=True, exist_ok=True)
    home.keys.mkdir(parents=True, exist_ok=True)
    home.journal.unlink(missing_ok=True)
    authority = Authority.create("byomesh local cloud")
    (home.keys / "ca.pem").write_bytes(authority.pem)
    journal = stack.enter_context(Journal(home.journal))
    return _Ground(
        stack=stack,
        home=home,
        options=options,
        binaries=binaries,
        authority=authority,
        issued=authority.server(["127.0.0.1", "localhost"]),
        identity=Identity(token_uri="", project=options.project),
        journal=journal,
        courier=await stack.enter_async_context(Courier(journal)),
    )


async def _start_pubsub(ground: _Ground, faults: rpc.Faults) -> tuple[PubSub, str]:
    """Pub/Sub, and the URL of its REST API, which is the token endpoint's and Cloud Storage's too."""
    address = await ground.stack.enter_async_context(serving(ground.binaries.pubsub, logs=ground.home.logs))
    pubsub = await ground.stack.enter_async_context(PubSub(address, courier=ground.courier, pace=ground.options.pace))
    identity = ground.identity
    bearer = _bearer(identity)
    storage = cloud_storage.routes(_make_storage(ground.options), bearer, faults)
    routes = [*identity.routes(), *publish_routes(pubsub, bearer), *storage]
    rest = f"http://127.0.0.1:{await serve(ground.stack, routes)}"
    identity.token_uri = f"{rest}/token"
    return pubsub, rest


def _make_storage(options: Options) -> cloud_storage.CloudStorage:
    """Cloud Storage, with the policy's bucket if there is one, which the functions read and the operator writes."""
    accounts = [Surroundings.email(name, options.project) for name in functions.NAMES]
    storage = cloud_storage.CloudStorage(readers=accounts, writers=[Surroundings.email(OPERATOR, options.project)])
    named = options.settings.get("BYOMESH_POLICY", "")
    if is_object(named):
        storage.create_bucket(named.removeprefix("gs://").partition("/")[0])
    return storage


def _make_logging(ground: _Ground) -> CloudLogging:
    """Cloud Logging, with what the functions print in the automation's project."""
    project = ground.options.project
    logging = CloudLogging(readers={Surroundings.email(name, project) for name in LOG_READERS})
    for name in functions.NAMES:
        log = ground.home.logs / f"{name}.log"
        logging.follow(name, Printed(log, name.replace("_", "-"), project, LOCATION))
    return logging


async def _start_gke(
    ground: _Ground, ports: dict[str, int], stand_ins: StandIns, logs: Logs
) -> tuple[Clusters, Eventarc, Gke]:
    guard = Warden()
    clusters = Clusters(
        home=ground.home,
        binaries=ground.binaries,
        authority=ground.authority,
        guard=guard,
        pod_seconds=ground.options.pod_seconds,
    )
    ground.stack.push_async_callback(clusters.close)
    clusters.webhooks = await _serve_https(
        ground, [*ground.identity.routes(), *guard.routes(), *managed_namespaces.routes()]
    )
    eventarc = await ground.stack.enter_async_context(
        Eventarc(_triggers(ports), courier=ground.courier, pace=ground.options.pace)
    )
    eventarc.troubles = ground.options.troubles

    by_sink = ground.options.scope == ORGANIZATION
    deliver = [sink.write for sink in logs.sinks] if by_sink else [eventarc.write]

    async def emit(entry: dict[str, Any]) -> None:
        logs.logging.write(entry)
        for write in deliver:
            write(entry)

    gke = Gke(backend=Backends(clusters, stand_ins), emit=emit, pace=ground.options.pace)
    ground.stack.push_async_callback(gke.close)
    return clusters, eventarc, gke


async def _start_apis(
    ground: _Ground, gke: Gke, logging: CloudLogging, faults: rpc.Faults, addresses: tuple[str, str]
) -> tuple[CloudTasks, Surroundings]:
    """The gRPC APIs on one port, with the queue, the secret and the accounts that Terraform would make."""
    pubsub, rest = addresses
    identity, home, options = ground.identity, ground.home, ground.options
    tasks = await ground.stack.enter_async_context(
        CloudTasks(courier=ground.courier, pace=options.pace, mint=identity.issue)
    )
    secrets, authorities = secret_manager.SecretManager(), private_ca.PrivateCa()
    handlers = [
        gke_handler(gke, caller=identity.caller, faults=faults),
        secret_manager.handler(secrets, caller=identity.caller, faults=faults),
        private_ca.handler(authorities, caller=identity.caller, faults=faults),
        logging_handler(logging, caller=identity.caller, faults=faults),
        tasks.service(caller=identity.caller, faults=faults),
    ]
    server, port = await rpc.serve(handlers, certificate_pem=ground.issued.certificate, key_pem=ground.issued.key)
    ground.stack.push_async_callback(server.stop, 0.5)
    surroundings = Surroundings(
        project=options.project,
        apis=f"127.0.0.1:{port}",
        pubsub=pubsub,
        rest=rest,
        authority=home.keys / "ca.pem",
        keys=home.keys,
        helm=ground.binaries.helm,
        charts=options.charts,
        ca_service=options.ca_service,
        extra=options.settings,
    )
    surroundings.write_keys(identity)
    _prepare(secrets, surroundings)
    authorities.create_pool(surroundings.pool, "trust-anchor")
    tasks.create_queue(surroundings.queue)
    tasks.create_queue(surroundings.work_queue)
    return tasks, surroundings


def _bearer(identity: Identity) -> Callable[[str], str | None]:
    return lambda header: identity.bearer(header.partition(" ")[2])


def _triggers(ports: dict[str, int]) -> list[Trigger]:
    return [
        Trigger(
            "container.googleapis.com",
            f"google.container.{version}.ClusterManager.{method}",
            function,
            f"http://127.0.0.1:{ports[function]}/",
        )
        for method, function in TRIGGERS.items()
        for version in _VERSIONS
    ]


def _start_function(surroundings: Surroundings, home: Home, name: str, port: int, threads: int) -> functions.Function:
    folder = home.folder / "functions" / name
    folder.mkdir(parents=True, exist_ok=True)
    return functions.start(name, surroundings.of(name, folder), home.logs, port, threads)


def _prepare(secrets: secret_manager.SecretManager, surroundings: Surroundings) -> None:
    parent, _, name = surroundings.secret.rpartition("/secrets/")
    secrets.create(
        secretmanager_v1.CreateSecretRequest(
            parent=parent,
            secret_id=name,
            secret=secretmanager_v1.Secret(replication={"automatic": {}}),
        )
    )


async def _serve_https(ground: _Ground, routes: list[web.RouteDef]) -> str:
    return f"https://127.0.0.1:{await serve(ground.stack, routes, _tls(ground))}"


def _tls(ground: _Ground) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*ground.issued.save(ground.home.keys, "server"))
    return context
