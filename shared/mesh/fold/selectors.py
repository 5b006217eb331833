"""Label selectors as the API server applies them (k8s.io/apimachinery pkg/labels, Requirement.Matches)."""

from __future__ import annotations

from collections.abc import Mapping

from shared.mesh.snapshot import LabelSelector, Requirement


def matches(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Whether labels are selected; an empty selector selects everything."""
    wanted = selector.match_labels.items()
    return all(labels.get(key) == value for key, value in wanted) and all(
        _meets(labels, requirement) for requirement in selector.match_expressions
    )


def _meets(labels: Mapping[str, str], requirement: Requirement) -> bool:
    match requirement.operator:
        case "In":
            return labels.get(requirement.key) in requirement.values
        case "NotIn":
            return labels.get(requirement.key) not in requirement.values
        case "Exists":
            return requirement.key in labels
        case _:
            return requirement.key not in labels
