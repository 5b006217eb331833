"""The same mesh installed by hand: `helm upgrade --install … --wait` for each chart, certificates given as PEM."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from bench.cloud import SERVICES_CIDR
from bench.figures import BenchError
from shared.mesh.charts import chart_in_folder
from shared.mesh.linkerd import certificates, networks
from shared.mesh.profile import Profile
from shared.mesh.values import merged

_SECONDS = 120


def values_by_release(profile: Profile, now: dt.datetime) -> dict[str, dict[str, Any]]:
    """The values of each release: the profile's own, with new certificates and the clusterNetworks that we set."""
    fleet = certificates.new_anchor_payload(now)
    issuer = certificates.new_issuer(fleet, now)
    serving = {
        webhook.values_key: certificates.new_serving_certificate(webhook.service, profile.namespace.name, now)
        for webhook in certificates.Webhook
    }
    computed: dict[str, Any] = {
        "clusterNetworks": networks.union(networks.DEFAULT_NETWORKS, [SERVICES_CIDR]),
        "identityTrustAnchorsPEM": fleet.trust_anchors,
        "identity": {"issuer": {"tls": {"crtPEM": issuer.certificate_pem, "keyPEM": issuer.private_key_pem}}},
        **{
            key: {"crtPEM": one.certificate_pem, "keyPEM": one.private_key_pem, "caBundle": one.ca_bundle}
            for key, one in serving.items()
        },
    }
    return {
        release.name: merged(release.values, computed if release.name == "linkerd-control-plane" else {})
        for release in profile.releases
    }


def install(
    helm: Path, profile: Profile, charts: Path, values: dict[str, dict[str, Any]], kubeconfig: Path
) -> dict[str, float]:
    """Install every release in its order, each waited for; seconds by release.

    Raises:
        BenchError: Helm failed, with its words.
    """
    folder = kubeconfig.parent
    homes = {f"HELM_{kind}_HOME": str(folder / f"helm-{kind.lower()}") for kind in ("CACHE", "CONFIG", "DATA")}
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), **homes}
    files: dict[str, Path] = {}
    for name, given in values.items():
        files[name] = folder / f"{name}.json"
        files[name].touch(mode=0o600)
        files[name].write_text(json.dumps(given), encoding="utf-8")
    seconds: dict[str, float] = {}
    for release in profile.releases:
        command = [
            *(
                str(helm),
                "upgrade",
                "--install",
                release.name,
                str(chart_in_folder(charts, profile, release).path),
                "--wait",
            ),
            *("--namespace", profile.namespace.name, "--create-namespace", "--values", str(files[release.name])),
            *("--timeout", f"{_SECONDS}s", "--kubeconfig", str(kubeconfig)),
        ]
        began = time.perf_counter()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        seconds[f"helm {release.name}"] = time.perf_counter() - began
        if done.returncode:
            raise BenchError(f"helm upgrade --install {release.name} failed: {done.stderr.strip()}")
    return seconds
