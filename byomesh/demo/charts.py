"""Which charts the demo installs: the operator's, Linkerd's own from its repository, or this project's stand-ins."""

from __future__ import annotations

import dataclasses
import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path

from shared.mesh.profile import load_profile

STAND_INS = Path(__file__).resolve().parents[2] / "tests" / "charts"
_SECONDS = 3.0


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """What is installed.

    Attributes:
        folder: for BYOMESH_CHARTS; "" means the mesh's repository.
        words: which one that is, in plain words.
    """

    folder: str
    words: str


def choose(mesh: str = "linkerd") -> Choice:
    """The folder that the environment names; else the mesh's repository if it answers; else the stand-ins."""
    named = os.environ.get("BYOMESH_CHARTS", "")
    if named:
        return Choice(str(Path(named).expanduser().absolute()), f"the charts in {named} (BYOMESH_CHARTS)")
    profile = load_profile(mesh)
    why = unreachable(f"{profile.repository}/index.yaml")
    if not why:
        return Choice("", f"{mesh} {profile.version} from its own repository")
    return Choice(
        str(STAND_INS),
        f"this project's stand-in charts, which make the same kinds of objects as {mesh}'s: its repository "
        f"can't be reached from here ({why}), and BYOMESH_CHARTS names no folder with the real ones",
    )


def unreachable(url: str) -> str:
    """Why a URL doesn't answer, or "" where it does."""
    try:
        request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - a profile's https address
        with urllib.request.urlopen(request, timeout=_SECONDS):  # noqa: S310 - likewise
            return ""
    except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
        return str(getattr(error, "reason", error)) or type(error).__name__
