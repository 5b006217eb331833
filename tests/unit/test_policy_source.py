"""A policy in a bucket: when it is looked at, what holds meanwhile, and what refuses deliveries."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from shared import policy, policy_source
from shared.cloud_storage import ObjectName, StoredObject, _unpacked
from shared.config import Settings
from shared.errors import Permanent, Temporary
from shared.policy import BUILT_IN, BadPolicy, loading

NAME = "gs://rules/byomesh.yaml"
ONE = b"schema: 1\nrules:\n  - {name: one, mesh: linkerd}\n"
TWO = b"schema: 1\nrules:\n  - {name: two, mesh: none}\n"
DOWN = Temporary("ApiUnavailable", "503")


class Bucket:
    """A bucket with one object, and a clock; counts what is asked of it."""

    def __init__(self, content: bytes | None = ONE) -> None:
        self.now = 100.0
        self.asked = 0
        self.fault: Exception | None = None
        self.stored: StoredObject | None = None
        self.write(content)
        config = Settings(policy_step=10.0, policy_limit=300.0)
        self.watched = policy_source.Watched(NAME, self.read, config, lambda: self.now)

    def write(self, content: bytes | None) -> None:
        generation = 1 if self.stored is None else self.stored.generation + 1
        self.stored = None if content is None else StoredObject(generation, content)

    def read(self, known: StoredObject | None) -> StoredObject | None:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return known if known is not None and known == self.stored else self.stored

    def names(self) -> list[str]:
        return [rule.name for rule in self.watched.current().rules]

    def later(self, seconds: float = 10.0) -> None:
        self.now += seconds


def test_a_burst_of_events_looks_once() -> None:
    bucket = Bucket()
    assert [bucket.names() for _ in range(100)] == [["one"]] * 100
    assert bucket.asked == 1


def test_a_new_generation_holds_at_the_next_look() -> None:
    bucket = Bucket()
    first = bucket.watched.current()
    bucket.write(TWO)
    bucket.later(9.9)
    assert bucket.watched.current() is first
    bucket.later(0.1)
    assert bucket.names() == ["two"]
    assert bucket.watched.current().source == f"{NAME}#2"


def test_what_has_not_changed_is_not_read_again() -> None:
    bucket = Bucket()
    first = bucket.watched.current()
    bucket.later()
    assert bucket.watched.current() is first
    assert bucket.asked == 2


def test_a_broken_policy_refuses_until_it_is_corrected() -> None:
    bucket = Bucket()
    bucket.names()
    bucket.write(b"rules: [")
    bucket.later()
    for _ in range(2):
        with pytest.raises(BadPolicy, match=f"{NAME}#2:1:9: it isn't YAML"):
            bucket.names()
        bucket.later()
    bucket.fault = DOWN
    # What is known to be broken stays so while nobody can look.
    with pytest.raises(BadPolicy):
        bucket.names()
    bucket.fault = None
    bucket.write(TWO)
    bucket.later()
    assert bucket.names() == ["two"]


def test_an_outage_lets_the_last_policy_hold_for_a_time() -> None:
    bucket = Bucket()
    bucket.names()
    bucket.fault = DOWN
    for _ in range(29):
        bucket.later()
        assert bucket.names() == ["one"]
    bucket.later()
    with pytest.raises(Temporary) as raised:
        bucket.names()
    assert raised.value.reason == "ApiUnavailable"
    bucket.fault = None
    bucket.later()
    assert bucket.names() == ["one"]


def test_an_outage_at_the_start_refuses_and_is_looked_at_again() -> None:
    bucket = Bucket()
    bucket.fault = DOWN
    for _ in range(3):
        with pytest.raises(Temporary):
            bucket.names()
    assert bucket.asked == 1
    bucket.fault = None
    bucket.later()
    assert bucket.names() == ["one"]


def test_a_withdrawn_permission_refuses_at_once() -> None:
    bucket = Bucket()
    bucket.names()
    bucket.fault = Temporary("IamNotReady", "403")
    bucket.later()
    with pytest.raises(Temporary):
        bucket.names()
    bucket.fault = None
    bucket.later()
    assert bucket.names() == ["one"]


def test_a_request_that_never_works_loses_no_delivery() -> None:
    bucket = Bucket()
    bucket.fault = Permanent("ApiRejected", "400: what", remedy="look")
    with pytest.raises(BadPolicy, match="400: what; look"):
        bucket.names()


def test_an_object_that_is_not_there_is_no_policy() -> None:
    bucket = Bucket(None)
    with pytest.raises(BadPolicy, match=f"there is no such object; upload it: gcloud storage cp FILE {NAME}"):
        bucket.names()
    bucket.write(ONE)
    bucket.later()
    assert bucket.names() == ["one"]
    bucket.write(None)
    bucket.later()
    with pytest.raises(BadPolicy):
        bucket.names()


@pytest.mark.parametrize("content", [b"\xff", b"", b"#" * (policy.LIMIT + 1)])
def test_content_that_is_no_policy_is_told(content: bytes) -> None:
    with pytest.raises(BadPolicy):
        Bucket(content).names()


def test_what_is_no_object_is_loaded_as_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "policy.yaml"
    file.write_bytes(ONE)
    assert policy_source.load("") is BUILT_IN
    assert policy_source.load(str(file)).rules[0].name == "one"
    assert policy_source.load(ONE.decode()).source == loading.SETTING
    monkeypatch.setattr(loading, "PACKAGE", tmp_path)
    assert policy_source.load("policy.yaml").source == str(file)


def test_a_name_that_is_none_is_a_bad_policy() -> None:
    with pytest.raises(BadPolicy, match="names no object of Cloud Storage; write gs://BUCKET/OBJECT"):
        policy_source.load("gs://rules")


@pytest.mark.parametrize("text", ["gs://", "gs://Bucket/o", "gs://b/", "gs://rules/", "gs://rules/a/", "s3://rules/a"])
def test_names_of_no_object(text: str) -> None:
    with pytest.raises(Permanent):
        ObjectName.parse(text)


def test_names_of_objects() -> None:
    assert str(ObjectName.parse("gs://rules.example.com/a/b c.yaml")) == "gs://rules.example.com/a/b c.yaml"


def test_what_unpacks_to_too_much_is_cut() -> None:
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    packed = packer.compress(b"x" * 10_000_000) + packer.flush()
    assert len(_unpacked(packed, 64, "to read")) == 65
    with pytest.raises(Permanent, match="isn't"):
        _unpacked(b"x", 64, "to read")
