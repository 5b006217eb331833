"""Where a policy is read from, and when it is read again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shared.errors import Temporary
from shared.policy import BUILT_IN, BadPolicy, Policy, document, load, loading, read

ONE = "schema: 1\nrules:\n  - {name: one, mesh: linkerd}\n"
TWO = "schema: 1\nrules:\n  - {name: two, mesh: none}\n"


def told(source: str) -> str:
    with pytest.raises(BadPolicy) as raised:
        load(source)
    (fault,) = raised.value.faults
    return fault.at(raised.value.source)


def names(source: str) -> list[str]:
    return [rule.name for rule in load(source).rules]


def test_nothing_is_the_built_in_policy() -> None:
    assert load("") is BUILT_IN


@pytest.mark.parametrize("text", [ONE, "{schema: 1, rules: [{name: one, mesh: linkerd}]}"])
def test_the_setting_may_hold_the_policy_itself(text: str) -> None:
    assert names(text) == ["one"]
    assert load(text) is load(text)
    assert load(text).source == "BYOMESH_POLICY"


def test_a_fault_in_the_setting_names_the_setting() -> None:
    assert told("rules: []\n") == (
        "BYOMESH_POLICY:1:1: the policy doesn't say its schema; write schema: 1 above the rules"
    )


def test_a_file_is_read_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []

    def keeping(text: str, source: str) -> Policy:
        texts.append(text)
        return read(text, source)

    monkeypatch.setattr(loading, "read", keeping)
    file = tmp_path / "policy.yaml"
    file.write_text(ONE)
    assert load(str(file)) is load(str(file))
    assert texts == [ONE]
    file.write_text(TWO + "\n")
    assert names(str(file)) == ["two"]
    # As long as before, and changed at another time.
    file.write_text(TWO.replace("two", "2nd") + "\n")
    os.utime(file, ns=(0, 0))
    assert names(str(file)) == ["2nd"]
    # As long and as old as before, but another file: what `mv` or a mounted volume does.
    other = tmp_path / "other.yaml"
    other.write_text(TWO.replace("two", "3rd") + "\n")
    os.utime(other, ns=(0, 0))
    other.replace(file)
    assert names(str(file)) == ["3rd"]
    assert len(texts) == 4


def test_a_file_that_is_corrected_is_used_at_once(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("rules: [")
    with pytest.raises(BadPolicy):
        load(str(file))
    file.write_text(ONE)
    assert names(str(file)) == ["one"]
    file.write_text("rules: [")
    with pytest.raises(BadPolicy):
        load(str(file))


def test_a_byte_order_mark_is_nothing(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(ONE, encoding="utf-8-sig")
    assert names(str(file)) == ["one"]


def test_what_is_no_utf8_is_told_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_bytes("schema: 1\n# ä".encode() + b"\xff\n")
    assert told(str(file)) == f"{file}:2:4: this isn't UTF-8; save the file as UTF-8"


def test_a_file_that_is_too_long_is_not_read_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_bytes(b"#" + "ä".encode() * (document.LIMIT // 2) + b"\xff" * 1_000)
    assert told(str(file)).startswith(f"{file}:1:1: the policy has more than 64 KiB; ")


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    remedy = "name the policy's file, or write the policy itself"
    assert told("/nowhere/policy.yaml") == (
        f"/nowhere/policy.yaml: the policy can't be read: No such file or directory; {remedy}"
    )
    assert told(str(tmp_path)) == f"{tmp_path}: that isn't a file; {remedy}"
    assert told("/dev/zero") == f"/dev/zero: that isn't a file; {remedy}"
    assert told("nul\0l") == f"nul\0l: the policy can't be read: embedded null byte; {remedy}"


def test_a_broken_policy_refuses_deliveries_and_loses_none() -> None:
    assert issubclass(BadPolicy, Temporary)
