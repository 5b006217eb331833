"""The plan: what follows from an installation and a desired state, and that carrying it out leaves nothing to do."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mesh.charts import Chart
from shared.mesh.drift import MISSING, Drift, ObjectName
from shared.mesh.ownership import MANAGED_BY
from shared.mesh.plan import (
    Desired,
    DesiredRelease,
    ForgetRevision,
    Installation,
    Kind,
    Plan,
    Reapply,
    RunHelm,
    WriteNamespace,
    WriteObject,
    WriteSecret,
    differing_keys,
    make_plan,
    may_take_back,
)
from shared.mesh.releases import PENDING, DeployedRelease

CONFIG = ObjectName("ConfigMap", "linkerd", "linkerd-config")
INJECTOR = ObjectName("Deployment", "linkerd", "linkerd-proxy-injector")
WEBHOOK = ObjectName("MutatingWebhookConfiguration", "", "linkerd-proxy-injector-webhook-config")
OURS = (
    ("ConfigMap", "linkerd-config", "data.values"),
    ("MutatingWebhookConfiguration", "", "webhooks[*].namespaceSelector"),
)
SECRET = {"kind": "Secret", "metadata": {"namespace": "linkerd", "name": "issuer"}, "data": {"tls.key": "a2V5"}}


def desired_release(name: str, **values: Any) -> DesiredRelease:
    return DesiredRelease(name=name, chart=Chart(Path(name), name, "2026.6.3", "edge-26.6.3", "d"), values=values)


CRDS, CONTROL = desired_release("linkerd-crds"), desired_release("linkerd-control-plane", clusterNetworks="10.0.0.0/8")
DESIRED = Desired(
    namespace="linkerd", labels={"is-control-plane": "true"}, secrets=(), releases=(CRDS, CONTROL), ours=OURS
)
LABELS = {"is-control-plane": "true", **MANAGED_BY}
EMPTY = Installation(namespace_labels=None, releases={}, drift={}, marked=None)


def deployed(release: DesiredRelease, **changes: Any) -> DeployedRelease:
    facts: dict[str, Any] = {
        "name": release.name,
        "revision": 1,
        "status": "deployed",
        "chart": release.chart.name,
        "version": release.chart.version,
        "app_version": release.chart.app_version,
        "values": release.values,
        "manifest": (),
        "secret": f"sh.helm.release.v1.{release.name}.v1",
    }
    return DeployedRelease(**{**facts, **changes})


def healthy(**changes: Any) -> Installation:
    facts: dict[str, Any] = {
        "namespace_labels": {**LABELS, "added": "by somebody"},
        "releases": {release.name: deployed(release) for release in DESIRED.releases},
        "drift": {},
        "marked": ("helm",),
    }
    return Installation(**{**facts, **changes})


def with_release(release: DesiredRelease, **changes: Any) -> Installation:
    there = healthy()
    return msgspec.structs.replace(there, releases={**there.releases, release.name: deployed(release, **changes)})


def helm_runs(plan: Plan) -> dict[str, tuple[bool, str]]:
    return {step.release.name: (step.installed, step.why) for step in plan.steps if isinstance(step, RunHelm)}


def test_an_empty_cluster_gets_everything_in_order() -> None:
    plan = make_plan(EMPTY, msgspec.structs.replace(DESIRED, secrets=(SECRET,)))
    assert plan.kind is Kind.INSTALL
    assert plan.steps == (
        WriteNamespace("linkerd", LABELS),
        WriteSecret(SECRET),
        RunHelm(CRDS, "linkerd", installed=False, why="not installed"),
        RunHelm(CONTROL, "linkerd", installed=False, why="not installed"),
    )
    assert plan.reason == (
        "namespace linkerd lacks labels; Secret linkerd/issuer is missing or due; "
        "release linkerd-crds: not installed; release linkerd-control-plane: not installed"
    )


def test_a_healthy_cluster_gets_nothing() -> None:
    assert make_plan(healthy(), DESIRED) == Plan(kind=Kind.NOTHING, reason="everything is as it should be")


def test_a_due_secret_alone_is_a_repair_and_stays_untold() -> None:
    plan = make_plan(healthy(), msgspec.structs.replace(DESIRED, secrets=(SECRET,)))
    assert (plan.kind, plan.steps) == (Kind.REPAIR, (WriteSecret(SECRET),))
    assert repr(plan.steps[0]) == "WriteSecret(Secret linkerd/issuer)"
    assert "a2V5" not in f"{plan}"


def test_a_lost_label_is_a_repair_that_brings_all_of_them() -> None:
    plan = make_plan(healthy(namespace_labels=dict(MANAGED_BY)), DESIRED)
    assert (plan.kind, plan.steps) == (Kind.REPAIR, (WriteNamespace("linkerd", LABELS),))


FOREIGN: dict[str, tuple[dict[str, Any], str]] = {
    "installed by hand": ({"marked": ("linkerd", "kubectl-edit")}, "of kubectl-edit, linkerd"),
    "nobody known": ({"marked": (), "releases": {}}, "of nobody known"),
    "half installed": ({"marked": None}, "of helm, release linkerd-control-plane, helm, release linkerd-crds"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_somebody_elses_mesh_is_refused_with_the_managers_named(case: str) -> None:
    changes, words = FOREIGN[case]
    there = healthy(namespace_labels={"app.kubernetes.io/managed-by": "Helm"}, **changes)
    plan = make_plan(there, DESIRED)
    assert (plan.kind, plan.steps) == (Kind.REFUSE, ())
    assert plan.reason == f"the namespace linkerd holds a mesh that byomesh didn't install ({words})"


def test_somebody_elses_mesh_is_adopted_where_that_is_allowed() -> None:
    plan = make_plan(healthy(namespace_labels={}), DESIRED, adopt=True)
    assert (plan.kind, plan.steps) == (Kind.REPAIR, (WriteNamespace("linkerd", LABELS),))


def test_an_empty_namespace_of_somebody_else_is_no_mesh() -> None:
    plan = make_plan(Installation(namespace_labels={}, releases={}, drift={}, marked=None), DESIRED)
    assert plan.kind is Kind.INSTALL


@pytest.mark.parametrize("status", sorted(PENDING))
def test_an_unfinished_revision_is_forgotten_first(status: str) -> None:
    plan = make_plan(with_release(CONTROL, status=status, secret="sh.helm.release.v1.x.v7"), DESIRED)
    assert plan.kind is Kind.UPGRADE
    assert plan.steps == (
        ForgetRevision("linkerd-control-plane", "linkerd", "sh.helm.release.v1.x.v7"),
        RunHelm(CONTROL, "linkerd", installed=True, why=f"left {status} by a run that was killed"),
    )
    assert plan.reason == f"release linkerd-control-plane: left {status} by a run that was killed"


DIFFERENCES: dict[str, tuple[dict[str, Any], str]] = {
    "failed": ({"status": "failed"}, "its last run ended failed"),
    "older": ({"version": "2026.1.1"}, "chart linkerd-crds 2026.1.1 is installed, 2026.6.3 is wished"),
    "another chart": ({"chart": "other"}, "chart other 2026.6.3 is installed, 2026.6.3 is wished"),
    "values": ({"values": {"a": 1, "b": {"c": 2}}}, "values differ: a, b"),
}


@pytest.mark.parametrize("case", DIFFERENCES)
def test_what_differs_is_upgraded_and_nothing_else(case: str) -> None:
    changes, why = DIFFERENCES[case]
    plan = make_plan(with_release(CRDS, **changes), DESIRED)
    assert (plan.kind, helm_runs(plan), len(plan.steps)) == (Kind.UPGRADE, {"linkerd-crds": (True, why)}, 1)


def test_a_missing_release_beside_another_is_an_installation() -> None:
    there = healthy(releases={"linkerd-crds": deployed(CRDS)})
    plan = make_plan(there, DESIRED)
    assert (plan.kind, helm_runs(plan)) == (Kind.INSTALL, {"linkerd-control-plane": (False, "not installed")})


def test_differing_values_are_named_and_not_shown() -> None:
    one = {"a": {"b": "secret", "same": 1}, "only": {"x": 1}, "none": None}
    other = {"a": {"b": "other", "same": 1}, "list": [1]}
    assert differing_keys(one, other) == {"a.b", "only", "list"}


@dataclasses.dataclass
class DriftCase:
    object: ObjectName
    owners: tuple[tuple[str, str], ...]
    taken: bool
    forced: bool = True


DRIFTS = {
    "nobody holds it": DriftCase(INJECTOR, (), taken=True, forced=False),
    "we hold it": DriftCase(INJECTOR, (("byomesh", ".spec.replicas"),), taken=True),
    "ours": DriftCase(CONFIG, (("kubectl-edit", ".data.values"),), taken=True),
    "below ours": DriftCase(CONFIG, (("kubectl-edit", ".data.values.x"),), taken=True),
    "the platform's": DriftCase(WEBHOOK, (("gke", '.webhooks[name="a.b"].namespaceSelector.matchLabels'),), taken=True),
    "beside ours": DriftCase(CONFIG, (("kubectl-edit", ".data.valuesOfOthers"),), taken=False),
    "beside the platform's": DriftCase(WEBHOOK, (("gke", '.webhooks[name="a.b"].failurePolicy'),), taken=False),
    "one of two": DriftCase(CONFIG, (("a", ".data.values"), ("b", ".data.other")), taken=False),
    "same path, other object": DriftCase(
        ObjectName("ConfigMap", "linkerd", "other"), (("a", ".data.values"),), taken=False
    ),
    "same path, other kind": DriftCase(
        ObjectName("Secret", "linkerd", "linkerd-config"), (("a", ".data.values"),), taken=False
    ),
}


@pytest.mark.parametrize("case", DRIFTS)
def test_a_drift_is_taken_back_only_where_it_is_ours(case: str) -> None:
    expected = DRIFTS[case]
    drift = Drift(expected.object, ("data.values", "data.other"), expected.owners)
    there = healthy(drift={"linkerd-control-plane": (drift,)})
    plan = make_plan(there, DESIRED)
    assert may_take_back(drift, OURS) is expected.taken
    if expected.taken:
        release = there.releases["linkerd-control-plane"]
        assert (plan.kind, plan.left_alone) == (Kind.REPAIR, ())
        assert plan.steps == (Reapply(release, "linkerd", drift, force=expected.forced),)
        assert plan.reason == f"{expected.object} drifted at data.values, data.other"
    else:
        assert (plan.kind, plan.steps, plan.left_alone) == (Kind.NOTHING, (), (drift,))
        assert plan.reason == "all that may be repaired is as it should be"


def test_drift_of_a_release_that_is_upgraded_is_not_repaired_beside() -> None:
    there = msgspec.structs.replace(
        with_release(CRDS, status="failed"), drift={"linkerd-crds": (Drift(CONFIG, (MISSING,)),)}
    )
    assert [type(step) for step in make_plan(there, DESIRED).steps] == [RunHelm]


def test_steps_say_what_they_do_without_values() -> None:
    plan = make_plan(healthy(drift={"linkerd-crds": (Drift(CONFIG, (MISSING,)),)}), DESIRED)
    assert [repr(step) for step in plan.steps] == ["Reapply(ConfigMap linkerd/linkerd-config: (missing))"]
    run = RunHelm(desired_release("r", password="hidden"), "linkerd", installed=True, why="w")
    assert repr(run) == "RunHelm(r: w)"


def test_an_object_that_a_release_needs_is_written_before_it() -> None:
    wanted = {"kind": "PriorityClass", "metadata": {"name": "mesh"}}
    desired = msgspec.structs.replace(DESIRED, objects=(wanted,), secrets=(SECRET,))
    steps = make_plan(EMPTY, desired).steps
    assert steps[1:3] == (WriteSecret(SECRET), WriteObject(wanted))
    plan = make_plan(healthy(), msgspec.structs.replace(DESIRED, objects=(wanted,)))
    assert (plan.kind, plan.steps) == (Kind.REPAIR, (WriteObject(wanted),))
    assert plan.reason == "PriorityClass mesh is missing"
    assert repr(plan.steps[0]) == "WriteObject(PriorityClass mesh)"


def carried_out(plan: Plan, there: Installation, desired: Desired) -> tuple[Installation, Desired]:
    """What a cluster holds, and what is desired of it, once a plan's steps were taken; the model of `apply`."""
    labels = dict(there.namespace_labels or {})
    releases, drift = dict(there.releases), dict(there.drift)
    for step in plan.steps:
        match step:
            case WriteNamespace(_, added):
                labels |= added
            case WriteSecret(body):
                secrets = tuple(one for one in desired.secrets if one != body)
                desired = msgspec.structs.replace(desired, secrets=secrets)
            case ForgetRevision(name):
                del releases[name]
            case RunHelm(release):
                releases[release.name] = deployed(release)
                drift[release.name] = ()
            case Reapply(release, drift=one):
                drift[release.name] = tuple(other for other in drift[release.name] if other != one)
    after = Installation(namespace_labels=labels, releases=releases, drift=drift, marked=("helm",))
    return after, desired


DRIFT = st.builds(
    Drift,
    st.sampled_from([CONFIG, INJECTOR, WEBHOOK]),
    st.just(("data.values",)),
    st.sampled_from([(), (("byomesh", ".spec.x"),), (("kubectl", ".data.values"),), (("hpa", ".spec.replicas"),)]),
)
STATES = st.builds(
    lambda labels, releases, drift, marked: Installation(
        namespace_labels=labels, releases=dict(releases), drift=drift, marked=marked
    ),
    st.sampled_from([None, {}, dict(MANAGED_BY), LABELS]),
    st.fixed_dictionaries(
        {},
        optional={
            release.name: st.builds(
                deployed,
                st.just(release),
                status=st.sampled_from(["deployed", "failed", "superseded", *sorted(PENDING)]),
                version=st.sampled_from(["2026.6.3", "2026.1.1"]),
                values=st.sampled_from([release.values, {"x": 1}]),
            )
            for release in DESIRED.releases
        },
    ),
    st.fixed_dictionaries(
        {}, optional={release.name: st.lists(DRIFT, unique=True).map(tuple) for release in DESIRED.releases}
    ),
    st.sampled_from([None, (), ("helm",)]),
)


@given(STATES, st.sampled_from([(), (SECRET,)]), st.booleans())
def test_once_a_plan_was_carried_out_nothing_is_left_to_do(
    there: Installation, secrets: tuple[dict[str, Any], ...], adopt: bool
) -> None:
    desired = msgspec.structs.replace(DESIRED, secrets=secrets)
    plan = make_plan(there, desired, adopt=adopt)
    assert (not plan.steps) == (plan.kind in (Kind.NOTHING, Kind.REFUSE))
    if plan.kind is Kind.REFUSE:
        assert there.foreign
        assert not adopt
        return
    after, desired = carried_out(plan, there, desired)
    again = make_plan(after, desired)
    assert (again.kind, again.left_alone) == (Kind.NOTHING, plan.left_alone)
