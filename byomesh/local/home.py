"""Where one local cloud keeps its things: keys, logs, clusters, and how to reach its daemon."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import msgspec

VARIABLE = "BYOMESH_LOCAL_HOME"
"""Environment variable that names another folder, so that several local clouds can be up side by side."""

DAEMON = "byomesh.local.daemon"
"""The daemon's module, as its command line names it."""

STEP = "step: "
"""Begins the lines by which the daemon tells the waiting command how far it is."""


class Contact(msgspec.Struct, frozen=True):
    """How the command reaches the daemon.

    Attributes:
        pid: the daemon's process id.
        port: of its control API on 127.0.0.1.
        token: what a caller of the control API must bear.
    """

    pid: int
    port: int
    token: str

    def __repr__(self) -> str:
        return f"Contact(pid={self.pid}, port={self.port})"


@dataclasses.dataclass(frozen=True, slots=True)
class Home:
    """The folder of one local cloud."""

    folder: Path

    @classmethod
    def default(cls) -> Home:
        """The folder that the environment names, else one in the user's state folder (XDG base directories)."""
        named = os.environ.get(VARIABLE)
        if named:
            return cls(Path(named).expanduser().absolute())
        state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
        return cls(Path(state).expanduser() / "byomesh" / "local")

    @property
    def contact_file(self) -> Path:
        """Written when the daemon serves, removed when it ends."""
        return self.folder / "daemon.json"

    @property
    def daemon_log(self) -> Path:
        """What the daemon prints."""
        return self.logs / "daemon.log"

    @property
    def logs(self) -> Path:
        """A log file for each process."""
        return self.folder / "logs"

    @property
    def keys(self) -> Path:
        """Service-account keys and the local certificate authority's certificate."""
        return self.folder / "keys"

    @property
    def journal(self) -> Path:
        """Every delivery as a JSON line."""
        return self.folder / "events.jsonl"

    def contact(self) -> Contact | None:
        """How to reach the daemon; None where none is up."""
        try:
            contact = msgspec.json.decode(self.contact_file.read_bytes(), type=Contact)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        return contact if _is_daemon(contact.pid) else None

    def cluster_folder(self, name: str) -> Path:
        """Folder of one cluster's control plane."""
        return self.folder / "clusters" / name


def _is_daemon(pid: int) -> bool:
    """Whether that process is a daemon: one that was killed left its file behind, and its id to somebody else."""
    try:
        return DAEMON.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
