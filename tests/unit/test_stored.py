"""A release's next revision, made from the present one."""

from __future__ import annotations

import datetime as dt
from typing import Any

import yaml

from shared.mesh import stored
from shared.mesh.linkerd import repairs
from shared.mesh.linkerd.networks import DEFAULT_NETWORKS
from shared.mesh.releases import decode_release, parse_manifest
from tests.unit.doors import NOW, release_secret

MANIFEST = """---
# Source: linkerd/templates/config.yaml
apiVersion: v1
kind: ConfigMap
metadata:
  name: linkerd-config
  namespace: linkerd
data:
  values: |
    clusterNetworks: 10.0.0.0/8
    linkerdVersion: edge-1
---
# Source: linkerd/templates/other.yaml
# linkerd-config is named here, and this stays:   as it is
kind: Other
metadata: {name:   linkerd-other}
---
# only a comment
---
# Source: linkerd/templates/destination.yaml
apiVersion: apps/v1
kind: Deployment
metadata:
  name: linkerd-destination
  namespace: linkerd
spec:
  template:
    spec:
      initContainers:
      - name: linkerd-init
      containers:
      - name: linkerd-proxy
        env:
        - name: A
          valueFrom: {fieldRef: {fieldPath: x}}
        - name: LINKERD2_PROXY_POLICY_CLUSTER_NETWORKS
          value: 10.0.0.0/8
      - name: policy
        args:
        - admin
        - --cluster-networks=10.0.0.0/8
"""
WISHED = f"{DEFAULT_NETWORKS},34.118.224.0/20"


def present(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"values": {"controllerReplicas": 2}, "manifest": MANIFEST, **changes}
    secret = release_secret("linkerd", 4, "deployed", chart={"name": "linkerd-control-plane"}, **given)
    secret["metadata"] |= {"namespace": "linkerd", "resourceVersion": "9"}
    secret["metadata"]["labels"] |= {"modifiedAt": "1"}
    return secret


def following(secret: dict[str, Any]) -> dict[str, Any]:
    manifest = decode_release(secret).manifest
    return stored.next_revision(secret, {"clusterNetworks": WISHED}, repairs.amended(manifest, WISHED), "because", NOW)


def test_the_next_revision_differs_by_the_value_and_what_it_decides() -> None:
    made = following(present())
    assert made["type"] == "helm.sh/release.v1"
    assert made["metadata"] == {
        "name": "sh.helm.release.v1.linkerd.v5",
        "namespace": "linkerd",
        "labels": {"owner": "helm", "name": "linkerd", "version": "5", "status": "deployed"},
    }
    release = decode_release(made)
    assert (release.revision, release.status, release.chart) == (5, "deployed", "linkerd-control-plane")
    assert release.values == {"controllerReplicas": 2, "clusterNetworks": WISHED}
    config, other, destination = release.manifest
    assert yaml.safe_load(config["data"]["values"]) == {"clusterNetworks": WISHED, "linkerdVersion": "edge-1"}
    proxy, policy = destination["spec"]["template"]["spec"]["containers"]
    assert [one.get("value") for one in proxy["env"]] == [None, WISHED]
    assert policy["args"] == ["admin", f"--cluster-networks={WISHED}"]
    assert other["kind"] == "Other"
    info = stored.unpacked(made)["info"]
    assert (info["description"], dt.datetime.fromisoformat(info["last_deployed"])) == ("because", NOW)


def test_the_rest_of_the_manifest_stays_to_the_byte() -> None:
    text = stored.unpacked(following(present()))["manifest"]
    begin, end = MANIFEST.index("# Source: linkerd/templates/other"), MANIFEST.index("# Source: linkerd/templates/dest")
    assert MANIFEST[begin:end] in text
    assert [line for line in text.splitlines() if line.startswith("# Source")] == [
        line for line in MANIFEST.splitlines() if line.startswith("# Source")
    ]
    assert len(parse_manifest(text)) == 3
    assert stored.replaced(MANIFEST, ()) == MANIFEST


def test_the_revision_before_is_superseded_and_else_as_it_was() -> None:
    secret = present(values=None)
    patch = stored.superseded(secret)
    assert patch["metadata"] == {"resourceVersion": "9", "labels": {"status": "superseded"}}
    before, after = (stored.unpacked(one) for one in (secret, patch))
    assert after == {**before, "info": {"status": "superseded"}}
    assert decode_release(following(secret)).values == {"clusterNetworks": WISHED}


def test_when_it_was_made_is_said_where_helm_says_it() -> None:
    secret = present()
    secret["metadata"]["labels"]["createdAt"] = "1"
    assert following(secret)["metadata"]["labels"]["createdAt"] == str(int(NOW.timestamp()))


def test_a_manifest_whose_networks_will_do_is_left() -> None:
    wide = MANIFEST.replace("clusterNetworks: 10.0.0.0/8", f"clusterNetworks: 34.118.0.0/16,{DEFAULT_NETWORKS}")
    assert repairs.amended(parse_manifest(wide), WISHED) == ()
    assert repairs.amended([], WISHED) == ()
    unreadable = MANIFEST.replace("clusterNetworks: 10.0.0.0/8", "clusterNetworks: none")
    assert len(repairs.amended(parse_manifest(unreadable), WISHED)) == 2
