"""linkerd-extension-checks: one namespace for each extension."""

from __future__ import annotations

from shared.mesh.fold import names
from shared.mesh.linkerd.checks.check import Category, Check, Evidence, Fault, Severity, Verdict


def _namespaces(evidence: Evidence) -> Verdict:
    by_extension: dict[str, list[str]] = {}
    for namespace in evidence.snapshot.namespaces:
        if names.EXTENSION in namespace.labels:
            by_extension.setdefault(namespace.labels[names.EXTENSION], []).append(namespace.name)
    lines = [
        f'\t* label "{names.EXTENSION}={extension}" is present on more than one namespace:\n'
        + "\n".join(f"\t\t* {name}" for name in found)
        for extension, found in sorted(by_extension.items())
        if len(found) > 1
    ]
    return Fault("\n".join(["some extensions have invalid configuration", *lines])) if lines else None


CATEGORY = Category(
    "linkerd-extension-checks",
    (
        Check(
            "extension-namespaces",
            "namespace configuration for extensions",
            "l5d-extension-namespaces",
            _namespaces,
            Severity.WARNING,
        ),
    ),
)
