from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.cloud import secretmanager_v1 as sm
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import SecretManagerServiceGrpcTransport
from hypothesis import given
from hypothesis import strategies as st

from shared import secret_manager
from shared.config import Settings
from shared.errors import Permanent, Temporary
from shared.secret_manager import Secrets, SecretVersion
from tests.unit.grpc_channel import Channel, Fault

SECRET = "projects/mesh/secrets/trust-anchor"
State = sm.SecretVersion.State


class Store:
    """One secret as Secret Manager keeps it: versions with a state and a payload."""

    def __init__(self, *versions: tuple[int, bytes]) -> None:
        self.versions = dict(enumerate(versions, 1))
        self.hidden_from_lists: set[int] = set()

    def door(self, **instead: Any) -> tuple[Secrets, Channel]:
        handlers = {
            "ListSecretVersions": self.listed,
            "AccessSecretVersion": self.access,
            "AddSecretVersion": self.add,
            "DestroySecretVersion": self.destroy,
        }
        channel = Channel(**{**handlers, **instead})
        client = sm.SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=channel))
        return Secrets(Settings(), client), channel

    def listed(self, request: Any) -> sm.ListSecretVersionsResponse:
        assert (request.parent, request.filter) == (SECRET, "state:ENABLED")
        found = [
            sm.SecretVersion(name=f"projects/123/secrets/trust-anchor/versions/{number}", state=state)
            for number, (state, _) in self.versions.items()
            if state == State.ENABLED and number not in self.hidden_from_lists
        ]
        return sm.ListSecretVersionsResponse(versions=found[::-1])

    def access(self, request: Any) -> sm.AccessSecretVersionResponse:
        number = int(request.name.rpartition("/")[2])
        if number not in self.versions:
            raise Fault(grpc.StatusCode.NOT_FOUND, "no such version")
        state, payload = self.versions[number]
        if state != State.ENABLED:
            raise Fault(grpc.StatusCode.FAILED_PRECONDITION, f"it is {State(state).name}")
        return sm.AccessSecretVersionResponse(name=request.name, payload={"data": payload})

    def add(self, request: Any) -> sm.SecretVersion:
        number = max(self.versions, default=0) + 1
        self.versions[number] = (State.ENABLED, request.payload.data)
        return sm.SecretVersion(name=f"projects/123/secrets/trust-anchor/versions/{number}")

    def destroy(self, request: Any) -> sm.SecretVersion:
        number = int(request.name.rpartition("/")[2])
        self.versions[number] = (State.DESTROYED, b"")
        return sm.SecretVersion(name=request.name)


def test_the_lowest_enabled_version_is_the_truth() -> None:
    store = Store((State.DESTROYED, b""), (State.DISABLED, b"x"), (State.ENABLED, b"three"), (State.ENABLED, b"four"))
    found = store.door()[0].read(SECRET)
    assert found is not None
    assert (found.number, found.payload) == (3, b"three")


def test_versions_are_ordered_by_number_not_by_text() -> None:
    store = Store(*[(State.DISABLED, b"")] * 8, (State.ENABLED, b"nine"), (State.ENABLED, b"ten"))
    found = store.door()[0].read(SECRET)
    assert found is not None
    assert found.number == 9


def test_a_secret_without_versions_is_none() -> None:
    assert Store().door()[0].read(SECRET) is None


def test_a_version_disabled_since_the_list_is_passed_over() -> None:
    store = Store((State.ENABLED, b"one"), (State.ENABLED, b"two"))
    listed = store.listed

    def stale(request: Any) -> sm.ListSecretVersionsResponse:
        answer = listed(request)
        store.versions[1] = (State.DISABLED, b"one")
        return answer

    found = store.door(ListSecretVersions=stale)[0].read(SECRET)
    assert found is not None
    assert found.payload == b"two"


def test_the_first_payload_is_created() -> None:
    store = Store()
    assert store.door()[0].create_first(SECRET, b"mine") == SecretVersion(f"{SECRET}/versions/1", b"mine")
    assert store.versions == {1: (State.ENABLED, b"mine")}


def test_the_loser_of_a_race_destroys_its_own_and_takes_the_winners() -> None:
    store = Store((State.ENABLED, b"theirs"))
    store.hidden_from_lists.add(1)
    assert store.door()[0].read(SECRET) is None
    assert store.door()[0].create_first(SECRET, b"mine") == SecretVersion(f"{SECRET}/versions/1", b"theirs")
    assert store.versions == {1: (State.ENABLED, b"theirs"), 2: (State.DESTROYED, b"")}


def test_a_rotated_secrets_old_versions_do_not_win() -> None:
    store = Store((State.DESTROYED, b""), (State.DISABLED, b"old"))
    assert store.door()[0].create_first(SECRET, b"new").number == 3


@given(st.permutations(range(3)))
def test_all_makers_end_with_the_same_version(order: list[int]) -> None:
    store = Store()
    doors = [store.door()[0] for _ in order]
    found = [doors[maker].create_first(SECRET, str(maker).encode()) for maker in order]
    assert {version.payload for version in found} == {str(order[0]).encode()}
    assert [state for state, _ in store.versions.values()].count(State.ENABLED) == 1


def test_a_payload_is_in_no_repr() -> None:
    assert "hush" not in repr(SecretVersion(f"{SECRET}/versions/1", b"hush"))


METHODS = ["ListSecretVersions", "AccessSecretVersion", "AddSecretVersion", "DestroySecretVersion"]


def use(secrets: Secrets, method: str) -> None:
    if method in ("ListSecretVersions", "AccessSecretVersion"):
        secrets.read(SECRET)
    else:
        secrets.create_first(SECRET, b"mine")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("code", "reason"),
    [(grpc.StatusCode.PERMISSION_DENIED, "IamNotReady"), (grpc.StatusCode.INTERNAL, "ApiUnavailable")],
)
def test_faults_are_temporary(method: str, code: grpc.StatusCode, reason: str) -> None:
    def fail(_: Any) -> Any:
        raise Fault(code, "words")

    secrets, _ = Store((State.ENABLED, b"one")).door(**{method: fail})
    with pytest.raises(Temporary, match="words") as raised:
        use(secrets, method)
    assert raised.value.reason == reason
    assert SECRET in raised.value.tried


@pytest.mark.parametrize("method", ["ListSecretVersions", "AddSecretVersion"])
def test_a_missing_secret_is_permanent_with_the_remedy(method: str) -> None:
    def fail(_: Any) -> Any:
        raise Fault(grpc.StatusCode.NOT_FOUND, "no such secret")

    secrets, _ = Store().door(**{method: fail})
    with pytest.raises(Permanent) as raised:
        use(secrets, method)
    assert raised.value.reason == "SecretMissing"
    assert "gcloud secrets create trust-anchor --project mesh" in raised.value.remedy


def test_every_call_has_a_timeout() -> None:
    secrets, channel = Store((State.ENABLED, b"one")).door()
    secrets.read(SECRET)
    secrets.create_first(SECRET, b"mine")
    assert {method for method, _, _ in channel.calls} == set(METHODS)
    assert all(timeout is not None and 0 < timeout <= 10 for _, _, timeout in channel.calls)


def test_the_door_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, Any]] = []

    def make(**options: Any) -> object:
        made.append(options)
        return object()

    monkeypatch.setattr("shared.secret_manager.secretmanager_v1.SecretManagerServiceClient", make)
    secret_manager.secrets.cache_clear()
    try:
        assert secret_manager.secrets() is secret_manager.secrets()
    finally:
        secret_manager.secrets.cache_clear()
    assert made == [{"client_options": {"api_endpoint": "secretmanager.googleapis.com"}}]


# Replacing ------------------------------------------------------------------------------------------------------------


def replaceable(*versions: tuple[int, bytes], refuse: int = 0) -> tuple[Store, Secrets]:
    """A secret that lets its versions be disabled, but for the number `refuse`."""
    store = Store(*versions)

    def disable(request: Any) -> sm.SecretVersion:
        number = int(request.name.rpartition("/")[2])
        if number == refuse:
            raise Fault(grpc.StatusCode.FAILED_PRECONDITION, "the etag provided does not match")
        store.versions[number] = (State.DISABLED, store.versions[number][1])
        return sm.SecretVersion(name=request.name, state=State.DISABLED)

    return store, store.door(DisableSecretVersion=disable)[0]


def states(store: Store) -> list[str]:
    return [State(state).name for state, _ in store.versions.values()]


def test_a_replacement_holds_once_the_old_version_is_disabled() -> None:
    store, door = replaceable((State.DISABLED, b"0"), (State.ENABLED, b"1"))
    current = door.read(SECRET)
    assert current is not None
    assert door.replace(SECRET, current, b"2") == SecretVersion(f"{SECRET}/versions/3", b"2")
    assert states(store) == ["DISABLED", "DISABLED", "ENABLED"]
    assert door.read(SECRET) == SecretVersion(f"{SECRET}/versions/3", b"2")


def test_what_a_cut_off_replacement_left_is_disabled_before_another_is_added() -> None:
    store, door = replaceable((State.ENABLED, b"1"), (State.ENABLED, b"left over"))
    current = door.read(SECRET)
    assert current is not None
    door.replace(SECRET, current, b"2")
    assert states(store) == ["DISABLED", "DISABLED", "ENABLED"]


def test_another_replacement_in_between_is_noticed() -> None:
    store, door = replaceable((State.DISABLED, b"1"), (State.ENABLED, b"2"))
    with pytest.raises(Temporary, match="somebody else replaced the payload of") as raised:
        door.replace(SECRET, SecretVersion(f"{SECRET}/versions/1", b"1"), b"3")
    assert raised.value.reason == "SecretChanged"
    assert states(store) == ["DISABLED", "ENABLED"]
    store, door = replaceable((State.ENABLED, b"1"), refuse=1)
    current = door.read(SECRET)
    assert current is not None
    with pytest.raises(Temporary, match="somebody else"):
        door.replace(SECRET, current, b"2")
    assert door.read(SECRET) == current


def test_a_version_that_may_not_be_disabled_says_what_is_needed() -> None:
    def denied(_: Any) -> sm.SecretVersion:
        raise Fault(grpc.StatusCode.PERMISSION_DENIED, "no")

    store = Store((State.ENABLED, b"1"))
    door, _ = store.door(DisableSecretVersion=denied)
    with pytest.raises(Temporary, match="PERMISSION_DENIED") as raised:
        door.replace(SECRET, SecretVersion(f"{SECRET}/versions/1", b"1"), b"2")
    assert "secretmanager.versions.disable" in raised.value.remedy
