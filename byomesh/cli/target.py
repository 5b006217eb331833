"""Which cluster a command is about: a kubeconfig, or a GKE cluster by its name."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shared.errors import Permanent
from shared.model import ClusterRef

if TYPE_CHECKING:
    from shared.helm import Helm
    from shared.kube import Kube

KubeconfigOption = Annotated[
    Path | None, typer.Option("--kubeconfig", help="A kubeconfig whose current context is the cluster.")
]
ClusterOption = Annotated[
    str, typer.Option("--cluster", help="A GKE cluster: its full resource name, or its name where that is unique.")
]
ProjectOption = Annotated[
    str, typer.Option("--project", envvar="GOOGLE_CLOUD_PROJECT", help="Project of a cluster named by its name.")
]
LocationOption = Annotated[str, typer.Option("--location", help="Location of a cluster named by its name.")]


def resolve(cluster: str, project: str, location: str) -> ClusterRef:
    """The cluster that a command line names.

    Raises:
        Permanent: it names none, or more than one.
        Temporary: the GKE API can't answer.
    """
    if "/" in cluster:
        return ClusterRef.parse(cluster)
    if not project:
        raise Permanent("NoProject", f"{cluster} is only a name", remedy="add --project, or write the full name")
    if location:
        return ClusterRef(project, location, cluster)
    from shared.gke import gke  # noqa: PLC0415 - Google's client is slow to load, and a kubeconfig needs none

    found = [ref for ref in gke().list(project) if ref.name == cluster]
    if len(found) == 1:
        return found[0]
    where = ", ".join(ref.location for ref in found) or "nowhere"
    raise Permanent(
        "AmbiguousCluster" if found else "NoSuchCluster",
        f"{cluster} is {where} in the project {project}",
        remedy="add --location" if found else "see gcloud container clusters list",
    )


@contextlib.contextmanager
def connected(kubeconfig: Path | None, cluster: str, project: str, location: str) -> Iterator[Kube]:
    """A connection to the one cluster that the options name.

    Raises:
        Permanent: neither or both ways are given, or the cluster doesn't exist.
        Refused: the kubeconfig or the control plane can't be used.
        Temporary: an API can't answer.
    """
    if (kubeconfig is None) == (not cluster):
        raise Permanent("OneCluster", "name the cluster once", remedy="give either --kubeconfig or --cluster")
    from shared import kube  # noqa: PLC0415 - the Kubernetes client is slow to load, and --help needs none

    if kubeconfig is not None:
        with kube.from_kubeconfig(kubeconfig) as api:
            yield api
        return
    from shared.gke import gke  # noqa: PLC0415 - likewise

    ref = resolve(cluster, project, location)
    found = gke().get(ref)
    with kube.connect(found.access, kube.default_token(), cluster=str(found.ref)) as api:
        yield api


def helm_program(wished: str) -> str:
    """The Helm that the settings name, else the local cloud's own where this machine has it.

    Raises:
        Permanent: there is none.
    """
    from byomesh.local.build import built_binaries  # noqa: PLC0415 - needed only where Helm is run

    if shutil.which(wished) is not None:
        return wished
    built = built_binaries()
    if built is None:
        raise Permanent("NoHelm", f"there is no program {wished}", remedy="install Helm 4, or name it in BYOMESH_HELM")
    return str(built.helm)


def helm_for(kubeconfig: Path | None, cluster: str, project: str, location: str) -> Helm:
    """Helm for the one cluster that the options of `connected` name; raises as that does."""
    from shared.config import settings  # noqa: PLC0415 - as above
    from shared.helm import Helm  # noqa: PLC0415 - as above
    from shared.helm import kubeconfig as made  # noqa: PLC0415 - as above

    config = dataclasses.replace(settings(), helm=helm_program(settings().helm))
    if kubeconfig is not None:
        return Helm(config, kubeconfig)
    from shared import kube  # noqa: PLC0415 - as in `connected`
    from shared.gke import gke  # noqa: PLC0415 - as in `connected`

    found = gke().get(resolve(cluster, project, location))
    token = kube.default_token()
    return Helm(config, lambda: made(found.access, token()), cluster=str(found.ref))
