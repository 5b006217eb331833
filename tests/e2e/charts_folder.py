"""A folder of charts that changes under a running cloud: newer versions of the stand-ins, good ones and bad ones."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.e2e.cloud import CHARTS

CRDS, CONTROL_PLANE = "linkerd-crds", "linkerd-control-plane"
Break = Callable[[Path], object]


def of_version(folder: Path, version: str, *breaks: Break) -> str:
    """Put the stand-ins of a chart version there, each changed by `breaks`; returns the mesh's version."""
    mesh = f"edge-{version[2:]}"
    for name in (CRDS, CONTROL_PLANE):
        shutil.rmtree(folder / name, ignore_errors=True)
        shutil.copytree(CHARTS / name, folder / name)
        file = folder / name / "Chart.yaml"
        text = re.sub(r"^version: .*$", f"version: {version}", file.read_text(), flags=re.MULTILINE)
        file.write_text(re.sub(r"^appVersion: .*$", f"appVersion: {mesh}", text, flags=re.MULTILINE))
    for one in breaks:
        one(folder)
    return mesh


def _edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text, f"{file.name} no longer has {old!r}"
    file.write_text(text.replace(old, new, 1))


def denied_by_warden(folder: Path) -> None:
    """Its pods want the node's network, which Autopilot denies."""
    file = folder / CONTROL_PLANE / "templates" / "workloads.yaml"
    _edit(file, '      {{- include "standin.pod" ', '      hostNetwork: true\n      {{- include "standin.pod" ')


def without_heartbeat(folder: Path) -> None:
    """It lacks the ServiceAccount of the heartbeat, which a check asks for."""
    file = folder / CONTROL_PLANE / "templates" / "access.yaml"
    _edit(file, '"proxy-injector" "heartbeat" }}', '"proxy-injector" }}')


def with_a_bad_object(folder: Path) -> None:
    """Helm fails in the middle of it: a Service with a port that there is none of."""
    bad = "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 99999999}]}\n"
    (folder / CONTROL_PLANE / "templates" / "zz-bad.yaml").write_text(bad)


def with_another_kind(folder: Path) -> None:
    """Its CRDs chart has a kind more."""
    file = folder / CRDS / "files" / "kinds.yaml"
    kind = "{group: policy.linkerd.io, kind: Novelty, plural: novelties, versions: [{name: v1, stored: true}]}"
    file.write_text(f"{file.read_text()}- {kind}\n")
