"""Carries out a removal; may be cut off anywhere and run again."""

from __future__ import annotations

from collections.abc import Callable

from shared.helm import Helm
from shared.kube import Kube
from shared.mesh.contents import foreign_objects
from shared.mesh.lease import Lease
from shared.mesh.uninstall.deciding import DeleteObject, Removal, RemoveNamespace, Step, Uninstall


def carry_out(
    removal: Removal, kube: Kube, helm: Helm, held: Lease, tell: Callable[[Step], None] = lambda _step: None
) -> None:
    """Do what was decided, in its order, holding the cluster's Lease; `tell` is called before each step.

    Raises:
        Temporary: an API can't answer now, or Helm couldn't delete everything; what was done stays done.
        LeaseLost: another worker took the cluster.
    """
    for step in removal.steps:
        tell(step)
        match step:
            case Uninstall(release, namespace):
                # Helm may take nearly as long as the Lease lasts.
                held.renew()
                helm.uninstall(release, namespace=namespace)
            case DeleteObject(path):
                kube.delete(path)
            case RemoveNamespace(name, releases):
                # Something may have been put there since it was looked at.
                if not foreign_objects(kube, name, *releases):
                    kube.delete(f"/api/v1/namespaces/{name}")


def remaining(removal: Removal, kube: Kube) -> tuple[str, ...]:
    """The namespaces that are still on their way out; raises Temporary."""
    names = [step.name for step in removal.steps if isinstance(step, RemoveNamespace)]
    return tuple(name for name in names if kube.get(f"/api/v1/namespaces/{name}") is not None)
