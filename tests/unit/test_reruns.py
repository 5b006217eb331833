"""Which clusters a rerun means, what it publishes for each, and when; and how it follows them."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byomesh.reruns.following import follow
from byomesh.reruns.planning import Ask, Planned, has_ended, plan, seconds_between
from byomesh.reruns.publishing import Sent, at_once, send, spread
from byomesh.reruns.selecting import Choice, chosen, listed, named
from byomesh.reruns.selector import Selector, parse_selector
from shared.cluster import Cluster
from shared.config import Settings
from shared.errors import Permanent, Temporary
from shared.gke import Listing
from shared.model import ClusterRef, InstallRequest, MeshStatus, Phase, VerifyRequest, decode
from shared.policy import BUILT_IN
from tests.unit.doors import NOW, autopilot

SETTINGS = Settings(project="mesh")
EARLIER = NOW - dt.timedelta(minutes=5)


def cluster(name: str, project: str = "shop", **changes: Any) -> Cluster:
    return autopilot(ref=ClusterRef(project, "europe-west1", name), **changes)


def status(name: str, phase: Phase, time: dt.datetime | None = NOW, reason: str = "R") -> MeshStatus:
    ref = ClusterRef("shop", "europe-west1", name)
    return MeshStatus(cluster=ref, mesh="linkerd", phase=phase, reason=reason, message="m", time=time)


SHOP = {"team": "shop", "tier": "prod"}


@pytest.mark.parametrize(
    ("text", "labels", "holds"),
    [
        ("team=shop", SHOP, True),
        ("team==shop", SHOP, True),
        ("team=shop,tier!=dev", SHOP, True),
        ("team=shop, tier != prod", SHOP, False),
        ("tier!=dev", {}, True),
        ("team", SHOP, True),
        ("team", {}, False),
        ("!team", {}, True),
        ("! team", SHOP, False),
        ("tier in (dev,prod),team=shop", SHOP, True),
        ("tier in ( dev , test )", SHOP, False),
        ("tier notin (dev,test)", {}, True),
        ("tier notin (dev,prod)", SHOP, False),
        ("team=", {"team": ""}, True),
        ("team=", {}, False),
    ],
)
def test_selectors_mean_what_they_mean_to_kubectl(text: str, labels: dict[str, str], holds: bool) -> None:
    assert parse_selector(text).holds(labels) is holds


@pytest.mark.parametrize(
    "text", ["", ",", "team=shop,", "=shop", "team=a b", "tier in dev", "tier in (a b)", "a>1", "(a)"]
)
def test_what_is_no_selector_is_told_with_an_example(text: str) -> None:
    with pytest.raises(Permanent, match="is no term") as raised:
        parse_selector(text)
    assert "team=shop,tier!=dev" in raised.value.remedy


@given(st.text(alphabet="ab=!,() in", max_size=30))
def test_random_selectors_are_read_or_refused(text: str) -> None:
    with contextlib.suppress(Permanent):
        parse_selector(text).holds({"a": "b"})


@pytest.mark.parametrize(
    ("rate", "seconds"), [("30/min", 2.0), ("1/s", 1.0), ("120/h", 30.0), ("0.5 / m", 120.0), ("2/hour", 1800.0)]
)
def test_a_rate_is_a_time_between_two_clusters(rate: str, seconds: float) -> None:
    assert seconds_between(rate) == pytest.approx(seconds)


@pytest.mark.parametrize("rate", ["", "30", "0/min", "-1/min", "30/day", "many/min", "1e3/min"])
def test_what_is_no_rate_is_told(rate: str) -> None:
    with pytest.raises(Permanent, match="is no rate"):
        seconds_between(rate)


TARGETS = (
    Planned(cluster=cluster("a").ref),
    Planned(cluster=cluster("b").ref, skipped="it is Ready"),
    Planned(cluster=cluster("c").ref),
)


def test_each_cluster_gets_a_message_one_after_the_other() -> None:
    first, second, third = plan(TARGETS, Ask(actor="ops@example.com", run="7f"), SETTINGS, 2.0)
    assert (first.delay, second.delay, third.delay) == (0.0, 0.0, 2.0)
    assert (second.topic, second.message) == ("", "")
    assert first.topic == "projects/mesh/topics/mesh-install"
    assert decode(first.message.encode(), InstallRequest) == InstallRequest(
        cluster=cluster("a").ref, request_id="rerun-7f-0", actor="ops@example.com"
    )
    assert json.loads(third.message)["request_id"] == "rerun-7f-1"
    # The age of a request that is planned for later counts from its publication.
    assert "first_seen" not in third.message


@pytest.mark.parametrize(
    ("begin", "topic", "kind"),
    [
        ("enable", "cluster-events", InstallRequest),
        ("install", "mesh-install", InstallRequest),
        ("verify", "mesh-verify", VerifyRequest),
    ],
)
def test_a_rerun_begins_at_the_stage_that_was_named(
    begin: Any, topic: str, kind: type[InstallRequest | VerifyRequest]
) -> None:
    (planned,) = plan(TARGETS[:1], Ask(begin=begin, mesh="linkerd", version="edge-1", run="r"), SETTINGS, 0.0)
    assert planned.topic == f"projects/mesh/topics/{topic}"
    request = decode(planned.message.encode(), kind)
    assert (request.mesh, request.version) == ("linkerd", "edge-1")


def test_what_cloud_tasks_cannot_plan_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(Permanent, match="30 ahead"):
        plan(TARGETS, Ask(), SETTINGS, 31 * 86_400.0)


def test_of_the_chosen_those_without_a_mesh_and_those_that_are_ready_are_left_out() -> None:
    clusters = [
        cluster("ready"),
        cluster("broken"),
        cluster("silent"),
        cluster("coming"),
        cluster("forgotten"),
        cluster("off", labels={"byomesh": "off"}),
        cluster("standard", autopilot=False),
        cluster("other", labels={"team": "x"}),
    ]
    newest = {
        one.cluster: one
        for one in (
            status("ready", Phase.READY),
            status("broken", Phase.STUCK),
            status("coming", Phase.VERIFYING, EARLIER),
            status("forgotten", Phase.INSTALLING, NOW - dt.timedelta(hours=3)),
        )
        if one.cluster is not None
    }
    choice = Choice(selector=parse_selector("team!=x"), not_ready=True)
    found = {one.cluster.name: one.skipped for one in chosen(choice, clusters, newest, BUILT_IN, NOW)}
    assert found == {
        "broken": "",
        "coming": "it is on its way: Verifying, R",
        "forgotten": "",
        "off": "the policy names no mesh for it: its label byomesh=off asks for no mesh",
        "ready": "it is Ready",
        "silent": "",
        "standard": "the policy names no mesh for it: a Standard cluster gets a mesh only with the label mesh=linkerd",
    }
    every = chosen(Choice(any_mesh=True), clusters, {}, BUILT_IN, NOW)
    assert [one.skipped for one in every] == [""] * 8
    assert [one.cluster.name for one in every] == sorted(one.ref.name for one in clusters)


class Google:
    """GKE's lists."""

    def __init__(self, **projects: Sequence[Cluster]) -> None:
        self.projects = projects
        self.asked: list[str] = []
        self.missing: tuple[str, ...] = ()

    def listing(self, project: str) -> Listing:
        self.asked.append(project)
        return Listing(tuple(self.projects[project]), self.missing)


def test_each_project_is_listed_once_and_what_gke_could_not_reach_is_told() -> None:
    google = Google(shop=[cluster("a")], pay=[cluster("b", "pay")])
    google.missing = ("europe-west3",)
    warned: list[str] = []
    found = listed(google, ["shop", "pay", "shop"], warned.append)
    assert ([one.ref.name for one in found], google.asked) == (["a", "b"], ["shop", "pay"])
    assert warned[0] == "shop: GKE couldn't reach europe-west3; their clusters are left out"
    with pytest.raises(Permanent, match="add --project"):
        listed(google, [], warned.append)


def test_names_are_looked_up_and_full_names_are_not() -> None:
    google = Google(shop=[cluster("a"), cluster("b")], pay=[cluster("b", "pay")])
    full = "projects/elsewhere/locations/l/clusters/x"

    def names(*wanted: str, location: str = "", projects: Sequence[str] = ("shop", "pay")) -> list[str]:
        return [str(ref) for ref in named(wanted, lambda: google, projects, location)]

    assert names(full, full) == [full]
    assert names("a", location="l", projects=("shop",)) == ["projects/shop/locations/l/clusters/a"]
    assert google.asked == []
    assert names("a", full, "a") == [str(cluster("a").ref), full]
    assert google.asked == ["shop", "pay"]
    with pytest.raises(Permanent, match=r"projects/shop/.* and projects/pay/") as ambiguous:
        names("b")
    assert ambiguous.value.reason == "AmbiguousCluster"
    with pytest.raises(Permanent, match="there is no cluster z"):
        names("z")
    with pytest.raises(Permanent, match="is not a cluster's resource name"):
        names("projects/shop")


class Doors:
    """Pub/Sub and Cloud Tasks."""

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes, dict[str, str]]] = []
        self.tasks: list[tuple[str, float, tuple[str, ...]]] = []

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> str:
        if b"clusters/c" in data:
            raise Temporary("TopicMissing", "there is none")
        self.published.append((topic, data, dict(attributes)))
        return "42"

    def publish_later(
        self, topic: str, data: bytes, attributes: Mapping[str, str], delay: float, *, name_parts: Sequence[str]
    ) -> bool:
        assert json.loads(data)["request_id"] == attributes["request_id"]
        self.tasks.append((topic, delay, tuple(name_parts)))
        return True


def test_a_message_that_fails_keeps_no_other_back() -> None:
    doors = Doors()
    counted: list[int] = []
    planned = plan(TARGETS, Ask(run="r"), SETTINGS, 0.0)
    sent = send(planned, at_once(doors), counted.append)
    assert sent == (Sent(planned[0], "42"), Sent(planned[2], error="TopicMissing: there is none"))
    assert counted == [1, 2]
    ((topic, _, attributes),) = doors.published
    assert topic == "projects/mesh/topics/mesh-install"
    assert attributes == {"cluster": str(cluster("a").ref), "request_id": "rerun-r-0"}


def test_a_rate_is_kept_by_cloud_tasks_and_not_by_the_terminal() -> None:
    doors = Doors()
    planned = plan(TARGETS, Ask(run="r"), SETTINGS, 2.0)
    sent = send(planned, spread(doors), lambda _: None)
    assert [one.error for one in sent] == ["", ""]
    assert sorted(doors.tasks) == [
        (planned[0].topic, 0.0, ("rerun", "rerun-r-0", str(cluster("a").ref))),
        (planned[0].topic, 2.0, ("rerun", "rerun-r-1", str(cluster("c").ref))),
    ]


@pytest.mark.parametrize(
    ("told", "ended"),
    [
        (None, False),
        (status("a", Phase.READY), True),
        (status("a", Phase.READY, EARLIER), False),
        (status("a", Phase.READY, None), False),
        (status("a", Phase.VERIFYING), False),
        (status("a", Phase.DEGRADED, reason="ChecksFailed"), False),
        (status("a", Phase.DEGRADED, reason="CannotRepair"), True),
        (status("a", Phase.STUCK), True),
    ],
)
def test_only_what_was_said_since_and_ends_is_an_end(told: MeshStatus | None, ended: bool) -> None:
    assert has_ended(told, NOW) is ended


class Watched:
    """A log that is looked at, and a clock."""

    def __init__(self, *looks: Sequence[MeshStatus]) -> None:
        self.looks = list(looks)
        self.now = 0.0
        self.slept: list[float] = []
        self.told: list[int] = []

    def newest(self, projects: Iterable[str]) -> dict[ClusterRef, MeshStatus]:
        assert list(projects) == ["shop"]
        found = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        return {one.cluster: one for one in found if one.cluster is not None}

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def follow(self, *names: str, seconds: float = 12.0) -> dict[str, str]:
        found = follow(
            [cluster(name).ref for name in names],
            self.newest,
            NOW,
            seconds,
            lambda _, ended: self.told.append(ended),
            monotonic=lambda: self.now,
            sleep=self.sleep,
        )
        return {ref.name: one.phase.value for ref, one in found.items()}


def test_clusters_are_followed_until_each_has_ended() -> None:
    old, ready, stuck = status("a", Phase.READY, EARLIER), status("a", Phase.READY), status("b", Phase.STUCK)
    watched = Watched([old], [ready, status("b", Phase.PENDING), status("x", Phase.READY)], [ready, stuck])
    assert watched.follow("a", "b", seconds=60) == {"a": "Ready", "b": "Stuck"}
    assert (watched.told, watched.slept) == ([0, 1, 2], [5.0, 5.0])


def test_following_ends_in_time() -> None:
    watched = Watched([status("a", Phase.PENDING)])
    assert watched.follow("a", "b") == {"a": "Pending"}
    assert watched.slept == [5.0, 5.0, 2.0]


def test_a_selector_without_terms_means_everything() -> None:
    assert Selector().holds({})
