"""Removes a mesh that byomesh installed, and leaves what is others': found, decided, done."""

from shared.mesh.uninstall.acting import carry_out, remaining
from shared.mesh.uninstall.deciding import DeleteObject, Removal, RemoveNamespace, Uninstall, decide
from shared.mesh.uninstall.finding import Found, Part, find

__all__ = [
    "DeleteObject",
    "Found",
    "Part",
    "Removal",
    "RemoveNamespace",
    "Uninstall",
    "carry_out",
    "decide",
    "find",
    "remaining",
]
