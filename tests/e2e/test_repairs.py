"""A mesh of the automation's own, broken by hand in many ways: one verification is queued, and all is mended."""

from __future__ import annotations

import base64
import datetime as dt
import time
from collections.abc import Iterator
from typing import Any

import pytest

from byomesh.demo.inventory import changes, resource_versions
from shared.kube import Kube
from shared.mesh.linkerd.certificates import certificates_of
from tests.e2e.breakages import BREAKAGES, HARMLESS, SECRETS, issuer_that_ends, serving_that_ends
from tests.e2e.cloud import Cloud

ENDS = ("Ready", "Refused", "Failed", "Stuck")
ISSUER = f"{SECRETS}/linkerd-identity-issuer"
SERVING = f"{SECRETS}/linkerd-sp-validator-k8s-tls"

GROUPS = {
    "objects deleted": (
        "injector's webhook deleted",
        "policy validator's webhook deleted",
        "profile validator's webhook deleted",
        "ClusterRole deleted",
        "ClusterRoleBinding deleted",
        "ServiceAccount deleted",
        "CRD deleted",
        "trust roots deleted",
        "Service deleted",
        "heartbeat deleted",
        "label of the namespace removed",
    ),
    "objects changed": ("caBundle changed", "rules emptied", "scaled to zero", "networks reset", "argument removed"),
    "certificates": (
        "issuer of others",
        "injector's certificate deleted",
        "policy validator's certificate deleted",
        "webhook's certificate expired",
    ),
    "configuration unreadable": ("linkerd-config unreadable", "issuer mangled"),
    "networks garbage": ("networks garbage", "trust roots of others"),
    "configuration deleted": ("linkerd-config deleted", "issuer deleted"),
    "networks with a space": ("networks with a space", "Deployment deleted"),
    "workloads deleted": ("networks empty", "all Deployments deleted"),
    "release forgotten": ("release forgotten",),
}
"""Breakages that are made together; each is in one group, so that every one of them is mended beside others."""


@pytest.fixture(scope="module")
def broken(shared_cloud: Cloud) -> Iterator[tuple[Cloud, str]]:
    name = shared_cloud.create("broken")
    shared_cloud.ready(name)
    yield shared_cloud, name
    shared_cloud.delete(name)


def verified(cloud: Cloud, name: str, asked: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Queue a verification, or what is `asked` of the installer; the statuses until nothing follows, oldest first."""
    topic = "mesh-verify" if asked is None else "mesh-install"
    request = cloud.publish(topic, asked or {"cluster": name, "mesh": "linkerd"})
    said: list[list[dict[str, Any]]] = [[]]

    def ended() -> bool:
        time.sleep(1.5)
        said.append(cloud.statuses(name, request_id=request))
        newest = said[-1]
        return bool(newest) and newest[-1]["phase"] in ENDS and len(newest) == len(said[-2])

    cloud.until(ended, f"the end of the verification {request}")
    return said[-1]


def quiet(cloud: Cloud, api: Kube) -> dict[str, str]:
    """Every resourceVersion, once the cluster's own controllers have nothing more to write for a second."""
    seen: list[dict[str, str]] = [{}]

    def same_again() -> bool:
        time.sleep(1.0)
        seen.append(resource_versions(api))
        return seen[-1] == seen[-2]

    cloud.until(same_again, "the cluster's own controllers to be done")
    return seen[-1]


def writes_nothing(cloud: Cloud, name: str, api: Kube) -> None:
    """Another verification finds it all as it should be."""
    before = quiet(cloud, api)
    assert verified(cloud, name)[-1]["phase"] == "Ready"
    assert changes(before, resource_versions(api)) == []


@pytest.mark.parametrize("group", GROUPS)
def test_what_somebody_broke_is_mended_and_stays_so(broken: tuple[Cloud, str], group: str) -> None:
    cloud, name = broken
    with cloud.kube(name) as api:
        for breakage in GROUPS[group]:
            BREAKAGES[breakage].do(api)
        said = verified(cloud, name)
        assert said[-1]["phase"] == "Ready", [one["message"] for one in said]
        assert (said[-1]["checks"]["failed"], said[-1]["reason"]) == (0, "ChecksPassed")
        named = {repair for one in said for repair in one["repaired"]}
        # Where Helm runs again, it mends what else is broken.
        wanted = {repair for breakage in GROUPS[group] for repair in BREAKAGES[breakage].repairs}
        assert "releaseReapplied" in named or wanted <= named
        writes_nothing(cloud, name, api)


def test_each_breakage_is_in_a_group() -> None:
    assert sorted(one for group in GROUPS.values() for one in group) == sorted(BREAKAGES)


@pytest.mark.parametrize("days", [10, 100])
def test_certificates_near_their_end_are_renewed_though_no_check_fails(broken: tuple[Cloud, str], days: int) -> None:
    cloud, name = broken
    with cloud.kube(name) as api:
        issuer_that_ends(api, days)
        serving_that_ends(api, days)
        said = verified(cloud, name)
        assert said[-1]["phase"] == "Ready"
        assert {"issuerRenewal", "servingCertificateRenewal"} <= {one for status in said for one in status["repaired"]}
        for path, least in ((ISSUER, 300), (SERVING, 3_000)):
            secret = api.get(path)
            assert secret is not None
            (certificate,) = certificates_of(base64.b64decode(secret["data"]["tls.crt"]).decode(), path)
            assert certificate.not_valid_after_utc - dt.datetime.now(dt.UTC) > dt.timedelta(days=least)
        writes_nothing(cloud, name, api)


def test_what_breaks_nothing_is_left_alone_and_told(broken: tuple[Cloud, str]) -> None:
    cloud, name = broken
    with cloud.kube(name) as api:
        for act in HARMLESS.values():
            act(api)
        said = verified(cloud, name)
        assert (said[-1]["phase"], said[-1]["reason"]) == ("Ready", "ChecksPassed")
        told = " ".join(one["message"] for one in said)
        assert "left alone: Deployment linkerd/linkerd-identity at .spec.replicas, held by kubectl-edit" in told
        deployment = api.get("/apis/apps/v1/namespaces/linkerd/deployments/linkerd-identity")
        assert deployment is not None
        assert deployment["spec"]["replicas"] == 2
