"""The names of repairs, and what each may take back."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from shared.mesh.charts import Chart
from shared.mesh.drift import Drift, ObjectName
from shared.mesh.naming import of_object, of_step, of_steps, taken_back
from shared.mesh.plan import DesiredRelease, ForgetRevision, RunHelm, WriteNamespace, WriteSecret, may_take_back
from shared.model import Repair

ISSUER = {"kind": "Secret", "metadata": {"namespace": "linkerd", "name": "linkerd-identity-issuer"}}


@pytest.mark.parametrize(
    ("kind", "name", "repair"),
    [
        ("ClusterRole", "r", "rbac"),
        ("ValidatingWebhookConfiguration", "w", "webhookConfiguration"),
        ("CustomResourceDefinition", "c", "crd"),
        ("ConfigMap", "linkerd-config", "config"),
        ("Deployment", "d", "workload"),
        ("Secret", "linkerd-identity-issuer", "issuerRenewal"),
        ("Secret", "linkerd-sp-validator-k8s-tls", "servingCertificateRenewal"),
        ("Server", "s", "otherObject"),
    ],
)
def test_an_object_is_named_by_its_kind(kind: str, name: str, repair: str) -> None:
    assert of_object(ObjectName(kind, "linkerd", name)).value == repair


def test_a_plan_names_each_repair_once_and_in_order() -> None:
    release = DesiredRelease(name="r", chart=cast("Chart", Path()), values={})
    steps: list[Any] = [
        WriteNamespace("linkerd", {}),
        WriteSecret(ISSUER),
        ForgetRevision("r", "linkerd", "s"),
        RunHelm(release, "linkerd", installed=True, why="values differ"),
    ]
    assert of_steps(steps) == (Repair.NAMESPACE_LABELS, Repair.ISSUER_RENEWAL, Repair.RELEASE_REAPPLIED)
    assert of_step(steps[3]) is Repair.RELEASE_REAPPLIED


def held(kind: str) -> Drift:
    return Drift(ObjectName(kind, "linkerd", "x"), ("spec.replicas",), (("kubectl-scale", ".spec.replicas"),))


def test_a_named_repair_takes_back_whole_objects_of_its_kinds_and_no_others() -> None:
    ours = taken_back((Repair.WORKLOAD, Repair.ISSUER_RENEWAL))
    assert may_take_back(held("Deployment"), ours)
    assert may_take_back(held("CronJob"), ours)
    assert not may_take_back(held("ConfigMap"), ours)
    assert not may_take_back(held("Deployment"), taken_back(()))
