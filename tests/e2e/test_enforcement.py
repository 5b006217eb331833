"""Drift that people make by hand on live clusters: they are named; it is mended, reported, or left as a conflict."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e import breakages
from tests.e2e.cloud import LOCATION, PATIENCE, PROJECT, Cloud, environment

DRIFTING, BARRED = (f"projects/{PROJECT}/locations/{LOCATION}/clusters/{name}" for name in ("drifting", "barred"))
POLICY = """\
schema: 1
limits: {{undoneWithinADay: 2}}
rules:
  - name: wants-a-mesh
    reason: {reason}
    match: {{names: drifting}}
    mesh: linkerd
    mode: {mode}
  - name: bars-net-admin
    match: {{names: barred}}
    mesh: none
    netAdmin: forbidden
"""
ALICE, BOB, CAROL = "alice@example.com", "bob@example.com", "carol@example.com"
UPDATE = """
import os, sys
from google.cloud import container_v1
client = container_v1.ClusterManagerClient(client_options={"api_endpoint": os.environ["BYOMESH_GKE_ENDPOINT"]})
policy = container_v1.WorkloadPolicyConfig(allow_net_admin=sys.argv[2] == "on")
update = container_v1.ClusterUpdate(desired_autopilot_workload_policy_config=policy)
client.update_cluster(name=sys.argv[1], update=update)
"""
"""What somebody runs who knows nothing of byomesh: Google's own client, with their own key."""
CAPABLE = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "tuner"},
    "spec": {
        "containers": [{"name": "tuner", "image": "tuner", "securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}]
    },
}
PODS = "/api/v1/namespaces/default/pods"
WriteRule = Callable[..., None]


@pytest.fixture
def policy(shared_cloud: Cloud) -> Iterator[WriteRule]:
    """Write the policy in another mode or for another reason; the built-in one is put back, and the clusters go."""
    before = shared_cloud.policy.read_text()

    def write(mode: str = "enforce", reason: str = "every shop has one") -> None:
        shared_cloud.policy.write_text(POLICY.format(mode=mode, reason=reason))

    write()
    yield write
    shared_cloud.policy.write_text(before)
    there = {one["name"] for one in shared_cloud.clusters()}
    shared_cloud.delete(*({DRIFTING, BARRED} & there))


def turn(cloud: Cloud, name: str, switch: str, person: str) -> None:
    """Have somebody set allow-net-admin, once GKE has nothing else to do on the cluster."""
    variables = cloud.json("env", "--as", person)

    def tried() -> bool:
        ran = subprocess.run(
            [sys.executable, "-c", UPDATE, name, switch],
            env={**environment(cloud.home.folder), **variables},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert ran.returncode == 0 or "FailedPrecondition" in ran.stderr, ran.stderr
        return ran.returncode == 0

    cloud.until(tried, f"GKE to begin {person}'s update")


def after(cloud: Cloud, name: str, act: Callable[[], object], reason: str) -> dict[str, Any]:
    """The first status of a cluster with this reason that is said after an act."""
    seen = len(cloud.statuses(name))
    act()

    def said() -> dict[str, Any]:
        return next((one for one in cloud.statuses(name)[seen:] if one["reason"] == reason), {})

    return cloud.until(said, f"{name} to be told {reason}")


def settled(cloud: Cloud, name: str, *, allowed: bool) -> None:
    """Wait until a cluster's newest status is Ready, with allow-net-admin as it should be."""

    def true() -> bool:
        newest = cloud.statuses(name)[-1]
        return newest["phase"] == "Ready" and cloud.cluster(name)["net_admin"] is allowed

    cloud.until(true, f"{name} to be Ready again")


def inside(cloud: Cloud) -> set[str]:
    """The findings that any status of the drifting cluster has named."""
    return {finding for one in cloud.statuses(DRIFTING) for finding in one["findings"]}


def look(cloud: Cloud, name: str) -> Callable[[], object]:
    """What asks for a look at one cluster."""
    return lambda: cloud.publish("mesh-enforce", {"cluster": name})


def test_what_people_undo_is_mended_and_they_are_named_until_it_is_a_fight(
    shared_cloud: Cloud, policy: WriteRule
) -> None:
    cloud = shared_cloud
    assert cloud.create("drifting") == DRIFTING
    cloud.ready(DRIFTING)

    # Alice turns it off: the main path turns it on again, and the mesh is verified anew.
    told = after(cloud, DRIFTING, lambda: turn(cloud, DRIFTING, "off", ALICE), "NetAdminRequiredButOff")
    assert (told["phase"], told["net_admin"]) == ("Pending", False)
    assert told["actor"].startswith(f"{ALICE} (")
    assert "grpc-python" in told["actor"]
    assert ALICE in told["message"]
    assert "--workload-policies=allow-net-admin" in told["advice"][0]
    assert "allow_net_admin  = true" in told["advice"][1]
    settled(cloud, DRIFTING, allowed=True)

    # What is broken inside shows in a look that somebody asks for, and is mended.
    with cloud.kube(DRIFTING) as api:
        breakages.BREAKAGES["injector's webhook deleted"].do(api)
        breakages.BREAKAGES["networks reset"].do(api)
    look(cloud, DRIFTING)()
    cloud.until(lambda: inside(cloud) >= {"MeshDrifted", "ClusterNetworksDrifted"}, "the drift inside to be named")
    assert any("linkerd-config by kubectl-edit at" in one["message"] for one in cloud.statuses(DRIFTING))
    settled(cloud, DRIFTING, allowed=True)
    with cloud.kube(DRIFTING) as api:
        cloud.until(lambda: api.get(breakages.INJECTOR), "the injector's webhook to be there again")

    # Where the rule only audits, Bob's change stays and is told.
    policy(mode="audit")
    told = after(cloud, DRIFTING, lambda: turn(cloud, DRIFTING, "off", BOB), "NetAdminRequiredButOff")
    assert (told["phase"], told["net_admin"]) == ("Degraded", False)
    assert told["actor"].startswith(f"{BOB} (")
    assert "only audits, so nothing is changed" in told["message"]
    assert cloud.cluster(DRIFTING)["net_admin"] is False

    # Enforced again, it was undone twice within a day, which this policy calls a conflict.
    policy()
    told = after(cloud, DRIFTING, look(cloud, DRIFTING), "Conflict")
    assert told["phase"] == "Refused"
    assert ALICE in told["message"]
    assert BOB in told["message"]
    assert cloud.cluster(DRIFTING)["net_admin"] is False

    # A changed policy is a new word on it.
    policy(reason="every shop has one, as agreed with Alice and Bob")
    after(cloud, DRIFTING, look(cloud, DRIFTING), "NetAdminRequiredButOff")
    settled(cloud, DRIFTING, allowed=True)


@pytest.mark.usefixtures("policy")
def test_net_admin_that_is_forbidden_goes_once_nobody_uses_it(shared_cloud: Cloud) -> None:
    cloud = shared_cloud
    assert cloud.create("barred", "--allow-net-admin") == BARRED
    cloud.until(lambda: cloud.cluster(BARRED)["status"] == "RUNNING", "the cluster to run")
    with cloud.kube(BARRED) as api:
        api.create(PODS, CAPABLE)
    told = after(cloud, BARRED, look(cloud, BARRED), "NetAdminInUse")
    assert told["phase"] == "Refused"
    assert "1 pods of 1 workloads use NET_ADMIN: Pod default/tuner" in told["message"]
    assert cloud.cluster(BARRED)["net_admin"] is True

    with cloud.kube(BARRED) as api:
        assert api.delete(f"{PODS}/tuner")
        cloud.until(lambda: api.get(f"{PODS}/tuner") is None, "the pod to be gone")
    after(cloud, BARRED, look(cloud, BARRED), "NetAdminTurnedOff")
    cloud.until(lambda: cloud.cluster(BARRED)["net_admin"] is False, "allow-net-admin to be off")

    told = after(cloud, BARRED, lambda: turn(cloud, BARRED, "on", CAROL), "NetAdminTurnedOff")
    assert told["actor"].startswith(f"{CAROL} (")
    assert "--remove-workload-policies=allow-net-admin" in told["advice"][0]
    cloud.until(lambda: cloud.cluster(BARRED)["net_admin"] is False, "allow-net-admin to be off again")
