"""Reading an installation and carrying a plan out, where a real API server can't be made to show it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest

from shared.errors import Refused
from shared.mesh import apply, lease
from shared.mesh.charts import Chart
from shared.mesh.drift import MISSING, Drift, ObjectName, owned_by_helm
from shared.mesh.installation import find_drift, read_installation
from shared.mesh.lease import Lease
from shared.mesh.ownership import FIELD_MANAGER, is_ours
from shared.mesh.plan import (
    DesiredRelease,
    ForgetRevision,
    Kind,
    Plan,
    Reapply,
    RunHelm,
    Step,
    WriteObject,
    WriteSecret,
)
from shared.mesh.priority_class import path_of, to_write
from shared.mesh.profile import load_profile
from shared.mesh.releases import DeployedRelease
from tests.unit.doors import CHARTS, NOW, MemoryHelm, release_secret
from tests.unit.memory_kube import MemoryKube, denial

PROFILE = load_profile("linkerd")
LINKERD = "/api/v1/namespaces/linkerd"
CONFIG = f"{LINKERD}/configmaps/linkerd-config"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/byomesh-system/leases/byomesh"
WIDGET = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "linkerd-config"}, "data": {"a": "1"}}


def deployed(*manifest: dict[str, Any]) -> DeployedRelease:
    return DeployedRelease(
        name="r",
        revision=1,
        status="deployed",
        chart="c",
        version="1",
        app_version="1",
        values={},
        manifest=manifest,
        secret="s",
    )


@pytest.fixture
def kube() -> MemoryKube:
    return MemoryKube({LINKERD: {}})


def carry_out(kube: MemoryKube, *steps: Step, clock: Any = lambda: NOW) -> None:
    taken = lease.take(kube, "test", 300, clock)
    assert isinstance(taken, Lease)
    with taken:
        apply.carry_out(Plan(kind=Kind.REPAIR, steps=steps), kube, MemoryHelm(kube), (), taken)


def test_a_kind_that_is_not_served_is_missing(kube: MemoryKube) -> None:
    (drift,) = find_drift(kube, deployed(WIDGET), "linkerd", ())
    assert drift == Drift(ObjectName("Widget", "", "w"), (MISSING,))
    assert apply.find_conflicts(kube, [WIDGET], "r", "linkerd") == ()


def test_an_object_that_would_be_denied_is_told_in_the_clusters_words(kube: MemoryKube) -> None:
    kube.put(CONFIG, {"data": {"a": "1"}})
    kube.answers["PATCH", CONFIG] = denial('admission webhook "x" denied the request: no')
    (drift,) = find_drift(kube, deployed(CONFIG_MAP), "linkerd", ())
    assert drift.object == ObjectName("ConfigMap", "linkerd", "linkerd-config")
    assert drift.paths == ('(denied: admission webhook "x" denied the request: no)',)


def test_a_namespace_without_labels_and_releases_of_others_are_read(kube: MemoryKube) -> None:
    record = release_secret("other", 1, "deployed", chart={"name": "c", "version": "1"}, values={}, manifest="")
    kube.put(f"{LINKERD}/secrets/{record['metadata']['name']}", record)
    found = read_installation(kube, PROFILE, ())
    assert (found.namespace_labels, list(found.releases), found.drift, found.marked) == ({}, ["other"], {}, None)


def test_managers_of_the_mark_are_named_once(kube: MemoryKube) -> None:
    kube.put(CONFIG, {"metadata": {"managedFields": [{"manager": "b"}, {"manager": "a"}, {"manager": "b"}]}})
    assert read_installation(kube, PROFILE, ()).marked == ("a", "b")
    kube.put(CONFIG, {})
    assert read_installation(kube, PROFILE, ()).marked == ()


def test_only_the_object_that_drifted_is_applied_again(kube: MemoryKube) -> None:
    other = msgspec.json.decode(msgspec.json.encode({**CONFIG_MAP, "metadata": {"name": "other"}}))
    drift = Drift(ObjectName("ConfigMap", "linkerd", "linkerd-config"), (MISSING,))
    carry_out(kube, Reapply(deployed(WIDGET, other, CONFIG_MAP), "linkerd", drift, force=False))
    assert [write for write in kube.writes if "configmaps" in write] == [f"PATCH {CONFIG}"]
    assert kube.objects[CONFIG]["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "Helm"}


def test_a_drift_of_no_object_of_the_release_is_a_defect_that_shows(kube: MemoryKube) -> None:
    drift = Drift(ObjectName("ConfigMap", "linkerd", "unknown"), (MISSING,))
    with pytest.raises(LookupError, match="ConfigMap linkerd/unknown"):
        carry_out(kube, Reapply(deployed(CONFIG_MAP), "linkerd", drift, force=False))


def secret(kind: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": "linkerd"},
        "type": kind,
        "data": {"a": "b"},
    }


@pytest.mark.parametrize(("there", "deletes"), [(None, 0), ("kubernetes.io/tls", 0), ("Opaque", 1)])
def test_a_secret_is_written_also_over_one_of_another_type(kube: MemoryKube, there: str | None, deletes: int) -> None:
    path = f"{LINKERD}/secrets/s"
    if there is not None:
        kube.put(path, {"type": there, "data": {"old": "x"}})
    carry_out(kube, WriteSecret(secret("kubernetes.io/tls")))
    assert kube.writes.count(f"DELETE {path}") == deletes
    assert kube.objects[path]["type"] == "kubernetes.io/tls"
    assert kube.objects[path]["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert {"manager": FIELD_MANAGER} in kube.objects[path]["metadata"]["managedFields"]


def test_an_object_of_our_own_is_written_under_our_name(kube: MemoryKube) -> None:
    made = to_write("service-mesh", None)
    assert made is not None
    carry_out(kube, WriteObject(made))
    there = kube.objects[path_of("service-mesh")]
    assert {"manager": FIELD_MANAGER} in there["metadata"]["managedFields"]
    assert is_ours(there["metadata"]["labels"])


def test_a_forgotten_revision_may_be_gone_already(kube: MemoryKube) -> None:
    kube.put(f"{LINKERD}/secrets/s", {})
    step = ForgetRevision("r", "linkerd", "s")
    carry_out(kube, step, step)
    assert f"{LINKERD}/secrets/s" not in kube.objects


def test_long_work_keeps_the_lease(kube: MemoryKube) -> None:
    moment = NOW
    delete = kube.delete

    def slow(path: str) -> bool:
        nonlocal moment
        moment += dt.timedelta(seconds=60)
        return delete(path)

    kube.delete = slow  # type: ignore[method-assign, assignment]
    carry_out(kube, *[ForgetRevision("r", "linkerd", "s")] * 6, clock=lambda: moment)
    # Renewed after 120 s and 240 s of its 300 s, and given back at the end.
    assert kube.writes.count(f"PUT {LEASE}") == 3


def test_a_resource_is_found_again_once_its_kind_is_served(kube: MemoryKube) -> None:
    release = deployed(WIDGET)
    (drift,) = find_drift(kube, release, "linkerd", ())
    served = {"resources": [{"name": "widgets", "kind": "Widget", "namespaced": True}]}
    kube.answers["GET", "/apis/example.com/v1"] = (200, served)
    carry_out(kube, Reapply(release, "linkerd", drift, force=False))
    assert "/apis/example.com/v1/namespaces/linkerd/widgets/w" in kube.objects


def test_what_the_platform_edits_is_no_drift_and_the_rest_is(kube: MemoryKube) -> None:
    path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/h"
    hook = {"name": "a.b", "namespaceSelector": {"matchLabels": {"a": "b"}}, "failurePolicy": "Fail"}
    wished = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "h"},
        "webhooks": [hook],
    }
    edited = {**hook, "namespaceSelector": {"matchLabels": {"a": "gke"}}}
    kube.put(path, {**owned_by_helm(wished, "r", "linkerd", namespaced=False), "webhooks": [edited]})
    assert find_drift(kube, deployed(wished), "linkerd", PROFILE.platform_owned) == ()
    assert len(find_drift(kube, deployed(wished), "linkerd", ())) == 1
    kube.objects[path]["webhooks"][0]["failurePolicy"] = "Ignore"
    (drift,) = find_drift(kube, deployed(wished), "linkerd", PROFILE.platform_owned)
    assert drift.paths == ("webhooks.0.failurePolicy",)


def test_helm_begins_with_the_leases_whole_duration(kube: MemoryKube) -> None:
    moments = [NOW]
    begun: list[str] = []

    class Helm(MemoryHelm):
        def upgrade_install(self, *_args: Any, **_options: Any) -> Any:
            begun.append(kube.objects[LEASE]["spec"]["renewTime"])

    taken = lease.take(kube, "test", 300, lambda: moments[-1])
    assert isinstance(taken, Lease)
    moments.append(NOW + dt.timedelta(seconds=50))
    chart = Chart(CHARTS / "linkerd-crds", "linkerd-crds", "1", "1", "")
    step = RunHelm(DesiredRelease(name="linkerd-crds", chart=chart, values={}), "linkerd", installed=False, why="w")
    apply.carry_out(Plan(kind=Kind.INSTALL, steps=(step,)), kube, Helm(kube), (), taken)
    assert begun == ["2026-05-04T09:00:50.000000Z"]


def test_what_the_cluster_rejects_ends_the_work(kube: MemoryKube) -> None:
    kube.answers["PATCH", CONFIG] = denial('admission webhook "x" denied the request: no')
    drift = Drift(ObjectName("ConfigMap", "linkerd", "linkerd-config"), (MISSING,))
    with pytest.raises(Refused):
        carry_out(kube, Reapply(deployed(CONFIG_MAP), "linkerd", drift, force=False), WriteSecret(secret("x")))
    assert f"{LINKERD}/secrets/s" not in kube.objects
