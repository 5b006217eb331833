"""Where a mesh's images come from: another registry, and digests in place of tags; pure.

A chart renders `name:version`, and has no value for a digest. A tag with a digest behind it, `26.6.3@sha256:…`, goes
into the same value, and is a reference of the usual grammar (distribution reference/reference.go): the digest decides
what is pulled, the tag stays for people. Linkerd reads no version from an image with a digest
(pkg/k8s/api.go, GetProxyVersion), and its version checks pass it over.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from shared.mesh.profile import ImagePlace
from shared.model import Images

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_REGISTRY = re.compile(r"[a-z0-9][a-z0-9.-]*(?::[0-9]+)?(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*/?")


def faults(wish: Images) -> Iterator[str]:
    """What is wrong with the settings, a sentence each."""
    if wish.registry and not _REGISTRY.fullmatch(wish.registry):
        yield f"images.registry: {wish.registry[:100]!r} is no registry; write it as europe-docker.pkg.dev/PROJECT/NAME"
    for name, digest in wish.digests.items():
        if not _DIGEST.fullmatch(digest):
            yield f"images.digests.{name}: {digest[:80]!r} is no digest; write sha256: and 64 hexadecimal digits"


def image_values(
    places: Iterable[ImagePlace], wish: Images, chart_values: Mapping[str, Any], app_version: str
) -> dict[str, Any]:
    """Helm values that bring a chart's images from the wished registry, by the wished digests; empty where none are.

    Args:
        places: where the chart's values name its images; one that this chart doesn't have is left out.
        wish: the settings.
        chart_values: the chart's own values.
        app_version: the tag where the chart's values leave it open.
    """
    found: dict[str, Any] = {}
    for place in places:
        name = value_at(chart_values, place.name)
        if not isinstance(name, str) or not name:
            continue
        last = name.rsplit("/", 1)[-1]
        if wish.registry and place.registry:
            _set(found, place.registry, _folder(wish))
            _set(found, place.name, last)
        elif wish.registry:
            _set(found, place.name, f"{_folder(wish)}/{last}")
        digest = wish.digests.get(place.image)
        if digest:
            _set(found, place.version, f"{value_at(chart_values, place.version) or app_version}@{digest}")
    return found


def with_versions_of(
    places: Iterable[ImagePlace], values: Mapping[str, Any], deployed: Mapping[str, Any]
) -> dict[str, Any]:
    """Values with the tags and digests that a deployed release has, where its version is kept.

    A policy's digests are those of the version that it wishes: under an older chart they would be the wrong images.
    """
    found: dict[str, Any] = copy.deepcopy(dict(values))
    for place in places:
        version = value_at(deployed, place.version)
        if version is not None:
            _set(found, place.version, version)
        elif value_at(found, place.version) is not None:
            _remove(found, place.version.split("."))
    return found


def reference(place: ImagePlace, values: Mapping[str, Any], app_version: str) -> str:
    """The image at a place as the chart renders it with `values` (its own and ours); "" where there is none."""
    name = value_at(values, place.name)
    if not isinstance(name, str) or not name:
        return ""
    registry = value_at(values, place.registry) if place.registry else ""
    return f"{f'{registry}/' if registry else ''}{name}:{value_at(values, place.version) or app_version}"


def moved(image: str, wish: Images) -> str:
    """A reference that no chart renders, from the wished registry and by the wished digest."""
    name = repository(image)
    last = name.rsplit("/", 1)[-1]
    version = image[len(name) :]
    digest = wish.digests.get(last)
    home = f"{_folder(wish)}/{last}" if wish.registry else name
    return f"{home}{version.partition('@')[0]}@{digest}" if digest else f"{home}{version}"


def repository(image: str) -> str:
    """A reference without tag and digest."""
    name = image.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}"


def is_within(image: str, registry: str) -> bool:
    """Whether an image comes from a registry (`HOST/PATH`), or a folder of it."""
    return image.startswith(f"{registry.rstrip('/')}/")


def value_at(values: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path; None where there is none."""
    found: Any = values
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _folder(wish: Images) -> str:
    return wish.registry.rstrip("/")


def _remove(values: dict[str, Any], path: list[str]) -> None:
    """Remove a value, and the maps that are empty without it."""
    key, *rest = path
    if rest:
        _remove(values[key], rest)
    if not rest or not values[key]:
        del values[key]


def _set(values: dict[str, Any], path: str, value: str) -> None:
    *folders, last = path.split(".")
    for key in folders:
        values = values.setdefault(key, {})
    values[last] = value
