"""The one way in which the local cloud calls a function: HTTP that never leaves loopback, noted in the journal."""

from __future__ import annotations

import asyncio
import dataclasses
import ipaddress
import ssl
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

import aiohttp
import yarl

from byomesh.local.journal import Journal, Kind, Record, now

_ERROR_TEXT = 300


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One attempt's request, and what the journal says of it.

    Attributes:
        url: http or https, on loopback.
        headers: sent as they are.
        body: sent as it is.
        deadline: seconds until an answer comes too late; real seconds whatever the pace, because the receiver's
            work is real.
        acknowledges: tells of an HTTP status whether it takes the delivery.
        method: the HTTP method.
        kind, source, what, target, attempt, cluster, line: the fields of `Record`.
    """

    url: str
    headers: Mapping[str, str]
    body: bytes
    deadline: float
    acknowledges: Callable[[int], bool]
    method: str = "POST"
    kind: Kind
    source: str
    what: str
    target: str
    attempt: int
    cluster: str | None
    line: str


class Courier:
    """Carries parcels, any number at a time, none waiting for another; use it as an async context manager."""

    def __init__(self, journal: Journal, *, tls: ssl.SSLContext | None = None) -> None:
        """`tls` trusts the local certificate authority, for https targets."""
        self._journal = journal
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # A kept connection may be closed by the function's server at the moment it is used again, and a POST can't be
        # repeated in silence: one connection a delivery costs less than a millisecond on loopback.
        connector = aiohttp.TCPConnector(limit=0, force_close=True, ssl=self._tls or True)
        self._session = aiohttp.ClientSession(connector=connector, trust_env=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def deliver(self, parcel: Parcel) -> Record:
        """Sends the parcel and returns what the journal keeps of it; a refusal is in the record, not raised."""
        began, clock = now(), time.monotonic()
        status, error = await self._send(parcel)
        record = Record(
            time=began,
            kind=parcel.kind,
            source=parcel.source,
            what=parcel.what,
            target=parcel.target,
            attempt=parcel.attempt,
            status=status,
            error=error,
            seconds=round(time.monotonic() - clock, 6),
            cluster=parcel.cluster,
            line=parcel.line,
        )
        self._journal.append(record)
        return record

    async def _send(self, parcel: Parcel) -> tuple[int | None, str | None]:
        if self._session is None:
            raise RuntimeError("the courier delivers only inside its `async with`")
        if not is_loopback(parcel.url):
            return None, f"{parcel.url} is not on loopback: the local cloud delivers to 127.0.0.1 only"
        try:
            async with (
                asyncio.timeout(parcel.deadline),
                self._session.request(
                    parcel.method,
                    yarl.URL(parcel.url, encoded=True),
                    data=parcel.body,
                    headers=dict(parcel.headers),
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None),
                ) as answer,
            ):
                if parcel.acknowledges(answer.status):
                    return answer.status, None
                text = (await answer.content.read(_ERROR_TEXT)).decode(errors="replace")
                return answer.status, " ".join(text.split()) or answer.reason or f"HTTP {answer.status}"
        except TimeoutError:
            return None, f"no answer within {parcel.deadline:g} s"
        except (aiohttp.ClientError, OSError) as error:
            return None, f"{type(error).__name__}: {error}"


def is_success(status: int) -> bool:
    """Whether an HTTP status is one of 200 to 299, by which Eventarc and Cloud Tasks are told that it's done."""
    return status in range(200, 300)


def is_loopback(url: str) -> bool:
    """Whether an http or https URL names this machine's own loopback; other schemes and broken URLs do not."""
    try:
        parsed = yarl.URL(url)
    except ValueError:
        return False
    if parsed.scheme not in ("http", "https") or parsed.host is None:
        return False
    try:
        return ipaddress.ip_address(parsed.host).is_loopback
    except ValueError:
        return parsed.host == "localhost"
