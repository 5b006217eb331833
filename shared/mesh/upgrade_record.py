"""The upgrade that isn't over, and the last one that was rolled back: ConfigMap `byomesh-upgrade`.

It exists from the first upgrade on, and is written only where something changes. Every write names the version that was
read (`Conflict` otherwise, which is Temporary), so that two workers never undo each other's.
"""

from __future__ import annotations

from typing import Any

import msgspec

from shared.decoding import prepare
from shared.errors import Permanent
from shared.kube import Kube
from shared.mesh.lease import NAMESPACE, ensure_namespace
from shared.mesh.ownership import FIELD_MANAGER, MANAGED_BY
from shared.mesh.upgrade import Memory, Upgrade
from shared.mesh.versions import FailedUpgrade

NAME = "byomesh-upgrade"
_COLLECTION = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
_PATH = f"{_COLLECTION}/{NAME}"

prepare(Upgrade, FailedUpgrade)


class UpgradeRecord:
    """A cluster's memory, as it was read.

    Attributes:
        memory: what it holds.
    """

    memory: Memory

    def __init__(self, kube: Kube) -> None:
        """Read it.

        Raises:
            Temporary: the API server can't answer.
            Permanent: somebody wrote into it what can't be read.
        """
        self._kube = kube
        self._there = kube.get(_PATH)
        data = (self._there or {}).get("data") or {}
        try:
            self.memory = Memory(
                upgrade=msgspec.json.decode(data["upgrade"], type=Upgrade) if "upgrade" in data else None,
                failed=msgspec.json.decode(data["failed"], type=FailedUpgrade) if "failed" in data else None,
            )
        except (msgspec.DecodeError, UnicodeError, RecursionError, TypeError) as error:
            raise Permanent(
                "UnreadableUpgrade",
                f"the ConfigMap {NAMESPACE}/{NAME} can't be read: {error}",
                remedy="delete it if no upgrade is under way, and publish the request again",
            ) from error

    def write(self, memory: Memory) -> None:
        """Make the cluster remember `memory`; nothing is written where it does.

        Raises:
            Conflict: another worker has written meanwhile.
            Temporary: the API server can't answer.
        """
        if memory == self.memory:
            return
        said = {"upgrade": memory.upgrade, "failed": memory.failed}
        data = {key: msgspec.json.encode(value, order="sorted").decode() for key, value in said.items() if value}
        self._there = self._written(data)
        self.memory = memory

    def _written(self, data: dict[str, str]) -> dict[str, Any]:
        if self._there is not None:
            return self._kube.replace(_PATH, {**self._there, "data": data}, field_manager=FIELD_MANAGER)
        ensure_namespace(self._kube)
        metadata = {"name": NAME, "namespace": NAMESPACE, "labels": dict(MANAGED_BY)}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        return self._kube.create(_COLLECTION, body, field_manager=FIELD_MANAGER)
