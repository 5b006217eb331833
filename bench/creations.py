"""A thousand clusters created at once: how long until each has its InstallRequest, and who worked for it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
from pathlib import Path

import psutil
from google.pubsub_v1 import types

from bench import requests
from bench.cloud import PROJECT, Cloud, Say, local_cloud
from bench.figures import SHARE, BenchError, Breakdown, Comparison, Report
from byomesh.local.pubsub.client import PubSubClient

CLUSTERS, FEW = 1000, 100
ALLOWED = 30.0
"""Seconds that a thousand may take on two cores."""
_PATIENCE = 300.0
_PACE = 10


def measure(charts: Path, rounds: int, say: Say) -> Report:
    """A hundred at once and a thousand at once, each on a cloud of its own, in every round.

    Raises:
        BenchError: a creation was lost.
    """
    many: list[float] = []
    few: list[float] = []
    breakdowns: list[Breakdown] = []
    for number in range(1, rounds + 1):
        say(f"creations, round {number} of {rounds}: {FEW} at once")
        few.append(_at_once(charts, FEW, say)[0] / FEW)
        say(f"creations, round {number} of {rounds}: {CLUSTERS} at once")
        seconds, breakdowns = _at_once(charts, CLUSTERS, say)
        many.append(seconds / CLUSTERS)
    allowed = Comparison(
        what=f"{CLUSTERS} creations, each told twice, until the last is queued",
        against="what they may take on two cores",
        unit="s",
        ours=tuple(one * CLUSTERS for one in many),
        theirs=(ALLOWED,) * rounds,
        goal=1.0,
    )
    growth = Comparison(
        what=f"a creation among {CLUSTERS} at once",
        against=f"one among {FEW} at once",
        unit="s",
        ours=tuple(many),
        theirs=tuple(few),
    )
    say("creations: requests")
    return Report((allowed, growth), (*breakdowns, _calls(charts, say)))


def _at_once(charts: Path, clusters: int, say: Say) -> tuple[float, list[Breakdown]]:
    """Seconds from the first entry's delivery to the last cluster's InstallRequest, and where they went."""
    with local_cloud(charts, say, pace=_PACE) as cloud:
        # Every process has handled an event before, as an instance that Cloud Run keeps has.
        asyncio.run(_queued(cloud, 1, "first"))
        before = cpu_seconds(cloud)
        seconds, deliveries = asyncio.run(_queued(cloud, clusters, "crowd"))
        after = cpu_seconds(cloud)
        spent = {name: after[name] - before.get(name, 0.0) for name in after}
        rate = {"deliveries to enable_net_admin": float(deliveries), "a second": deliveries / seconds}
        return seconds, [
            Breakdown(what=f"{clusters} creations: seconds of processor time, by process", unit="s", parts=spent),
            Breakdown(what=f"{clusters} creations: deliveries", unit="deliveries", parts=rate),
        ]


def _calls(charts: Path, say: Say) -> Breakdown:
    """Requests of enable_net_admin a delivered creation, by API."""
    with requests.traced(), local_cloud(charts, say, pace=_PACE) as cloud:
        asyncio.run(_queued(cloud, FEW, "traced"))
        notes = requests.read(cloud)["enable_net_admin"]
        counts: dict[str, float] = {}
        for note in notes:
            name = requests.request_name(note)
            counts[name] = counts.get(name, 0.0) + 1 / FEW
    return Breakdown(
        what="requests of enable_net_admin a creation that is told twice",
        unit="requests",
        parts={"all": sum(counts.values()), **{f"all{SHARE}{name}": one for name, one in sorted(counts.items())}},
    )


async def _queued(cloud: Cloud, clusters: int, prefix: str) -> tuple[float, int]:
    """Have clusters created and wait until each is queued; the seconds, and the deliveries to enable_net_admin."""
    topic = f"projects/{PROJECT}/topics/mesh-install"
    subscription = f"projects/{PROJECT}/subscriptions/bench-{prefix}"
    async with PubSubClient(cloud.pubsub()) as client:
        await client.create_subscription(types.Subscription(name=subscription, topic=topic))
        asked = {"clusters": clusters, "project": PROJECT, "prefix": prefix, "envelope": "both"}
        made = asyncio.create_task(asyncio.to_thread(cloud.populate, asked))
        waiting = {f"{prefix}-{number:05}" for number in range(1, clusters + 1)}
        last = dt.datetime.fromtimestamp(0, dt.UTC)
        try:
            async with asyncio.timeout(_PATIENCE), contextlib.aclosing(client.pull(subscription)) as pulled:
                while waiting:
                    received = await anext(pulled)
                    name = json.loads(received.message.data)["cluster"].rpartition("/")[2]
                    if name in waiting:
                        waiting.discard(name)
                        last = max(last, received.message.published)
        except TimeoutError as error:
            raise BenchError(
                f"{len(waiting)} of {clusters} creations were never queued: {sorted(waiting)[:5]}"
            ) from error
        answer = await made
    began = dt.datetime.fromisoformat(answer["told"])
    events = await asyncio.to_thread(cloud.deliveries_to, "enable_net_admin")
    ours = [one for one in events if f"/{prefix}-" in (one["cluster"] or "")]
    denied = [
        one["name"] for one in await asyncio.to_thread(cloud.clusters) if not one["net_admin"] and not one["operation"]
    ]
    if denied:
        raise BenchError(f"NET_ADMIN was never allowed on {len(denied)} clusters: {denied[:5]}")
    return (last - began).total_seconds(), len(ours)


def cpu_seconds(cloud: Cloud) -> dict[str, float]:
    """Processor time so far of the daemon and of each function, its worker included, and of Pub/Sub's server."""
    named = {process.pid: name for name, process in cloud.functions().items()}
    daemon = cloud.daemon()
    found = {"the local cloud itself": _own(daemon)}
    for child in daemon.children():
        name = named.get(child.pid, child.name())
        found[name] = found.get(name, 0.0) + _own(child) + sum(_own(one) for one in child.children(recursive=True))
    return found


def _own(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
