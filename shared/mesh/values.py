"""The Helm values of one release, laid over one another; pure.

    the profile's values < its `ha` where asked for < what the cluster decides < the images < the policy's own values

Each is laid over the ones before it, maps merged key by key as Helm merges them; the chart's defaults lie below all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from shared.errors import Refused
from shared.mesh import images, priority_class
from shared.mesh.profile import Profile, RefusedValue, ReleaseProfile
from shared.model import MeshSettings

Values = Mapping[str, Any]


def merged(base: Values, *over: Values) -> dict[str, Any]:
    """Each of `over` laid over what is before it, maps merged key by key as Helm merges values."""
    result = dict(base)
    for layer in over:
        result = _merged(result, layer)
    # Helm stores values as JSON: the same types on both sides, so that a comparison is one of contents.
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(result))
    return plain


def _merged(base: Values, over: Values) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        known = result.get(key)
        result[key] = _merged(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return result


def release_values(
    release: ReleaseProfile, wish: MeshSettings, computed: Values, chart_values: Values, app_version: str
) -> dict[str, Any]:
    """All that differs from the chart's own values.

    Args:
        release: the release.
        wish: how the mesh should be; `refuse` has let it pass.
        computed: what the mesh computes from the cluster.
        chart_values: the chart's own values.yaml.
        app_version: the chart's appVersion, which is its images' tag where nothing else is said.
    """
    return merged(
        release.values,
        release.ha if wish.ha else {},
        computed,
        images.image_values(release.images, wish.images, chart_values, app_version),
        wish.values.get(release.name, {}),
    )


def refuse(profile: Profile, wish: MeshSettings, cluster: str = "") -> None:
    """Refuse settings of a policy that can't be carried out, or would break what this system keeps whole.

    Args:
        profile: the mesh.
        wish: the settings.
        cluster: full resource name, for the error.

    Raises:
        Refused: with every fault named.
    """
    faults = [*_faults(profile, wish), *images.faults(wish.images), *priority_class.faults(wish.priority_class)]
    if faults:
        raise Refused(
            "PolicySettingsRefused",
            "; ".join(faults),
            cluster=cluster,
            remedy="change the settings of the rule in the policy that matches the cluster",
        )


def _faults(profile: Profile, wish: MeshSettings) -> Iterator[str]:
    releases = {release.name: release for release in (*profile.releases, *profile.extensions)}
    for name, values in wish.values.items():
        if name not in releases:
            yield f"values.{name}: {profile.mesh} has no such release; it has {', '.join(releases)}"
            continue
        for path, value in leaves(values):
            yield from _value_faults(name, path, value, releases[name].refused)


def _value_faults(release: str, path: tuple[str, ...], value: Any, refused: tuple[RefusedValue, ...]) -> Iterator[str]:
    where = f"values.{release}.{'.'.join(path)}"
    if _holds_a_key(path, value):
        yield f"{where}: no key belongs into a policy, nor into Helm's values, which are kept in a Secret of Helm's"
        return
    for rule in refused:
        if _is_at(path, rule.path) and value not in rule.harmless:
            yield f"{where}: {rule.because}"
            return


def _holds_a_key(path: tuple[str, ...], value: Any) -> bool:
    texts = value if isinstance(value, list | tuple) else [value]
    return path[-1].lower().endswith(("keypem", "privatekey")) or any("PRIVATE KEY" in str(one) for one in texts)


def _is_at(path: tuple[str, ...], rule: str) -> bool:
    """Whether a value lies at the path of a rule or below it, or takes the place of what the path leads through."""
    wanted = tuple(rule.split("."))
    if len(path) < len(wanted):
        return wanted[: len(path)] == path
    return all(one in ("*", key) for one, key in zip(wanted, path, strict=False))


def leaves(values: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value that is no map, with the keys that lead to it; lists of maps are looked through, too."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from leaves(value, (*path, str(key)))
    elif isinstance(values, list | tuple) and any(isinstance(one, Mapping) for one in values):
        for index, one in enumerate(values):
            yield from leaves(one, (*path, str(index)))
    else:
        yield path, values
