"""`byomesh images`: which images a cluster must be able to pull for its mesh."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from byomesh.cli.output import Format, Output, err, escape, fail, out, print_json, table, told
from byomesh.cli.target import ClusterOption, LocationOption, ProjectOption, helm_program, resolve
from shared.errors import Permanent
from shared.model import UNDECIDED, MeshSettings

if TYPE_CHECKING:
    from shared.config import Settings
    from shared.mesh.profile import Profile
    from shared.mesh.pulls import Pull
    from shared.policy import Policy


def images(
    mesh: Annotated[str, typer.Option("--mesh", help="The mesh's profile.")] = "linkerd",
    policy: Annotated[
        str,
        typer.Option(
            "--policy",
            help="A policy: its file, or gs://BUCKET/OBJECT; without --cluster all of its rules for the mesh.",
        ),
    ] = "",
    cluster: ClusterOption = "",
    project: ProjectOption = "",
    location: LocationOption = "",
    version: Annotated[str, typer.Option(help="The mesh's version; the policy's or the profile's where absent.")] = "",
    include: Annotated[
        list[str] | None, typer.Option("--include", metavar="OPTION", help="An extension, such as viz; repeatable.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """List the images that a cluster must be able to pull, and who pulls them.

    The charts are rendered with the policy's settings, so the list is what an installation asks for, and what the
    proxy injector adds to pods later. Mirror these into the registry of a cluster that can't reach the internet, and
    let Binary Authorization admit them. The charts come from BYOMESH_CHARTS, or the mesh's own repository.

    Exit status: 1 where the policy names a registry and an image lies outside of it: an installation would be refused.
    """
    with told(), err.status("rendering the charts"):
        from shared.config import settings  # noqa: PLC0415 - only here is the environment of any matter
        from shared.mesh.profile import load_profile  # noqa: PLC0415 - msgspec and YAML, which --help has no need of

        profile = load_profile(mesh)
        options = _options(profile, include or [])
        wishes = tuple(_wishes(mesh, policy, cluster, project, location))
        found, outside = _found(profile, wishes, options, version or None, settings())
    registries = sorted({wish.images.registry for wish in wishes} - {""})
    if output is Format.JSON:
        print_json(
            {
                "mesh": mesh,
                "registries": registries,
                "images": [
                    {"image": one.image, "usedBy": list(one.used_by), "outside": one.image in outside} for one in found
                ],
            }
        )
    else:
        _show(found, outside)
    if outside:
        fail(f"{len(outside)} of {len(found)} images are not from {', '.join(registries)}")


def _options(profile: Profile, asked: Sequence[str]) -> frozenset[str]:
    known = sorted({extension.option for extension in profile.extensions} - {""})
    unknown = [one for one in asked if one not in known]
    if unknown:
        has = f"{profile.mesh} has {', '.join(known)}" if known else f"{profile.mesh} has none"
        raise Permanent("NoSuchExtension", f"there is no extension {', '.join(unknown)}", remedy=has)
    return frozenset(asked)


def _wishes(mesh: str, file: str, cluster: str, project: str, location: str) -> Iterator[MeshSettings]:
    """The settings of the rule that matches the cluster, or of all rules that may ask for the mesh."""
    from shared import policy, policy_source  # noqa: PLC0415 - reads YAML, which --help has no need of

    rules = policy_source.load(file)
    if not cluster:
        yield from (_of_rules(rules, mesh) if file else (UNDECIDED,))
        return
    from shared.gke import gke  # noqa: PLC0415 - Google's client is slow to load

    decision = policy.decide(gke().get(resolve(cluster, project, location)).facts, rules)
    if decision.mesh != mesh:
        wanted = f"{decision.mesh}, not {mesh}" if decision.mesh else "no mesh"
        raise Permanent("NotWished", f"the policy wants {wanted} on {cluster}: {decision.reason}")
    yield decision.settings


def _of_rules(rules: Policy, mesh: str) -> tuple[MeshSettings, ...]:
    found = tuple(rule.settings for rule in rules.rules if rule.mesh == mesh or rule.mesh_label)
    if not found:
        raise Permanent("NotWished", f"no rule of {rules.source} asks for {mesh}")
    return found


def _found(
    profile: Profile, wishes: Sequence[MeshSettings], options: frozenset[str], version: str | None, settings: Settings
) -> tuple[tuple[Pull, ...], frozenset[str]]:
    """All images, and the names of those outside the registry of a wish that needs them."""
    from shared.mesh import pulls  # noqa: PLC0415 - as above

    found: list[Pull] = []
    outside: set[str] = set()
    for wish in wishes:
        needed = pulls.together(_needed(profile, wish, options, version, settings))
        found += needed
        if wish.images.registry:
            outside |= {one.image for one in pulls.outside(needed, wish.images.registry, wish.values)}
    return pulls.together(found), frozenset(outside)


def _needed(
    profile: Profile, wish: MeshSettings, options: frozenset[str], version: str | None, settings: Settings
) -> Iterator[Pull]:
    from shared.helm import Helm  # noqa: PLC0415 - as above
    from shared.mesh.choosing import Charts  # noqa: PLC0415 - as above
    from shared.mesh.hooks import install_hooks  # noqa: PLC0415 - as above
    from shared.mesh.values import refuse  # noqa: PLC0415 - as above
    from shared.mesh.wanted import desired_release, images_of  # noqa: PLC0415 - as above

    refuse(profile, wish)
    computed = install_hooks(profile).example_values(wish)
    helm = Helm(dataclasses.replace(settings, helm=helm_program(settings.helm)))
    charts = Charts(profile, settings, helm)
    version = version or wish.version
    wished = options | {option for option, on in wish.options.items() if on}
    releases = [(one, profile.namespace.name) for one in profile.releases]
    releases += [(one, one.namespace.name) for one in profile.extensions if not one.option or one.option in wished]
    for release, namespace in releases:
        desired = desired_release(release, charts.find(release, version), wish, computed.get(release.name, {}))
        yield from images_of(helm, release, desired, namespace)


def _show(found: Sequence[Pull], outside: frozenset[str]) -> None:
    shown = table("IMAGE", "USED BY")
    for one in found:
        mark = "[red]outside[/red] " if one.image in outside else ""
        shown.add_row(f"{mark}{escape(one.image)}", escape("\n".join(one.used_by)))
    out.print(shown)
