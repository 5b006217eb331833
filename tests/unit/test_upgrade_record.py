"""What a cluster remembers of its mesh's upgrades."""

from __future__ import annotations

import pytest

from shared.errors import Permanent
from shared.kube import AlreadyExists, Conflict
from shared.mesh.upgrade import Memory, rolled_back
from shared.mesh.upgrade_record import UpgradeRecord
from tests.unit.memory_kube import MemoryKube
from tests.unit.test_upgrade import UNDER_WAY

PATH = "/api/v1/namespaces/byomesh-system/configmaps/byomesh-upgrade"
BEGUN = Memory(upgrade=UNDER_WAY)
FAILED = Memory(failed=rolled_back(UNDER_WAY))


def test_nothing_is_remembered_of_a_mesh_that_was_never_upgraded() -> None:
    kube = MemoryKube()
    record = UpgradeRecord(kube)
    assert record.memory == Memory()
    record.write(Memory())
    assert kube.writes == []


def test_an_upgrade_is_remembered_from_its_beginning_to_its_end() -> None:
    kube = MemoryKube()
    UpgradeRecord(kube).write(BEGUN)
    record = UpgradeRecord(kube)
    assert record.memory == BEGUN
    record.write(FAILED)
    assert record.memory == UpgradeRecord(kube).memory == FAILED
    record.write(Memory())
    assert kube.objects[PATH]["data"] == {}
    writes = len(kube.writes)
    record.write(Memory())
    UpgradeRecord(kube).write(Memory())
    assert len(kube.writes) == writes


def test_a_worker_that_read_too_early_does_not_overwrite() -> None:
    kube = MemoryKube()
    early = UpgradeRecord(kube)
    UpgradeRecord(kube).write(BEGUN)
    with pytest.raises(AlreadyExists):
        early.write(FAILED)
    late = UpgradeRecord(kube)
    UpgradeRecord(kube).write(FAILED)
    with pytest.raises(Conflict):
        late.write(Memory())


@pytest.mark.parametrize("text", ["no JSON", "{}", "[]"])
def test_what_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(Permanent, match="byomesh-system/byomesh-upgrade can't be read") as raised:
        UpgradeRecord(MemoryKube({PATH: {"data": {"upgrade": text}}}))
    assert raised.value.reason == "UnreadableUpgrade"
