"""What a mesh computes for itself, beyond its profile: the hooks that are called by the profile's name for them."""

from __future__ import annotations

import datetime as dt
import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, cast

import msgspec

from shared import gke
from shared.kube import Kube
from shared.mesh.adoption import Owned
from shared.mesh.fleet_trust import FleetTrust, Issued
from shared.mesh.patch import Patch
from shared.mesh.profile import ExtensionProfile, Profile
from shared.mesh.releases import DeployedRelease
from shared.mesh.snapshot import Workload
from shared.model import CheckReport, MeshSettings, Remedy, Repair

Clock = Callable[[], dt.datetime]


class TrustStore(Protocol):
    """Who keeps the fleet's trust anchor and signs with it: the same for everybody who asks."""

    def trust(self, now: dt.datetime) -> FleetTrust:
        """What the fleet trusts, made by whoever needs it first where the store makes anchors."""

    def issue(self, cluster: str, signer: str, now: dt.datetime) -> Issued:
        """A cluster's issuer, signed by one of `FleetTrust.signers`; one store makes no second for one cluster."""


class Ranges(Protocol):
    """Where a cluster's pods and Services live; `gke.Cluster` is one, and so is what a cluster says of itself."""

    @property
    def pod_ranges(self) -> tuple[str, ...]:
        """CIDRs of the pods."""

    @property
    def service_ranges(self) -> tuple[str, ...]:
        """CIDRs of the Services."""


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """What a mesh needs on one cluster beside its profile.

    Attributes:
        secrets: Secrets to write, as JSON; empty where all are there and good.
        values: computed Helm values by release.
        ours: (kind, name, path prefix) of the fields that the mesh's repairs write.
        objects: what else to write before the releases, as JSON; empty where all is there.
        waits_for: sentences about what can't be done yet, for the status.
    """

    secrets: tuple[dict[str, Any], ...]
    values: dict[str, dict[str, Any]]
    ours: tuple[tuple[str, str, str], ...]
    objects: tuple[dict[str, Any], ...] = ()
    waits_for: tuple[str, ...] = ()


class Stale(msgspec.Struct, frozen=True, kw_only=True):
    """Meshed workloads whose proxies run with other settings than the control plane's, or are missing.

    Attributes:
        workloads: as many as the look kept by name.
        other_pods: pods of further ones.
        key: a digest of the settings that a proxy should have.
    """

    workloads: tuple[Workload, ...] = ()
    other_pods: int = 0
    key: str = ""


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a mesh.

    Attributes:
        report: every check, judged.
        repairs: writes that would mend what the checks found, the mesh's own namespace only.
        version: the mesh's version as the cluster tells it, or "".
        foreign: field managers of a mesh that this system didn't install, so that nothing of it is written without
            consent; empty where the mesh is ours, or isn't there.
        remedies: what helps against each check that fails or warns, in the report's order.
        due: repairs that no check asks for yet: what nears its end, or is missing where no check looks.
        stale: meshed workloads that a restart would bring up to date.
        networks: what every copy of clusterNetworks should say; "" where the mesh isn't there, or the policy leaves it.
        notes: sentences for the status about what nobody repairs unasked, such as a trust anchor that nears its end.
    """

    report: CheckReport
    repairs: tuple[Patch, ...]
    version: str
    foreign: tuple[str, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    due: tuple[Repair, ...] = ()
    stale: Stale = Stale()
    networks: str = ""
    notes: tuple[str, ...] = ()


class InstallHooks(Protocol):
    """The module `shared.mesh.NAME.installing` of a mesh."""

    def chart_version(self, version: str) -> str:
        """The version of the charts that install the mesh's `version`."""

    def example_values(self, wish: MeshSettings) -> dict[str, dict[str, Any]]:
        """Values by release as `prepare` computes them, with words in place of certificates: enough to render."""

    def prepare(
        self,
        kube: Kube,
        profile: Profile,
        cluster: gke.Cluster,
        store: TrustStore,
        now: dt.datetime,
        wish: MeshSettings,
    ) -> Prepared:
        """Compute what the mesh needs on this cluster; writes nothing to the cluster."""

    def prepare_extension(self, kube: Kube, extension: ExtensionProfile, now: dt.datetime) -> Prepared:
        """Compute what an extension needs on this cluster; writes nothing to the cluster."""


class VerifyHooks(Protocol):
    """The module `shared.mesh.NAME.verifying` of a mesh; apart, so that each function loads only what it uses."""

    def look(
        self,
        kube: Kube,
        profile: Profile,
        ranges: Ranges,
        now: dt.datetime,
        expected_version: str | None,
        wish: MeshSettings,
    ) -> Verification:
        """Observe the cluster and judge it; writes nothing."""

    def amended(self, manifest: Iterable[Mapping[str, Any]], wished: str) -> tuple[dict[str, Any], ...]:
        """The objects of a release's stored manifest that say other networks, as they are when they say `wished`."""


class RestartHooks(Protocol):
    """The module `shared.mesh.NAME.injecting` of a mesh."""

    def stale(self, kube: Kube, profile: Profile) -> Stale:
        """Look for workloads to restart; writes nothing."""

    def injected(self, kube: Kube, profile: Profile, namespace: str) -> str:
        """Why a pod that starts now in `namespace` wouldn't get the current settings; "" where it would."""


class AdoptHooks(Protocol):
    """The module `shared.mesh.NAME.adopting` of a mesh; loaded only where a mesh of others is taken over."""

    def owned(self, kube: Kube, namespace: str, releases: Mapping[str, DeployedRelease]) -> Owned:
        """Look at a mesh that others installed; writes nothing."""


def adopt_hooks(profile: Profile) -> AdoptHooks:
    """What a profile names for taking over."""
    return cast("AdoptHooks", importlib.import_module(f"shared.mesh.{profile.hooks}.adopting"))


def install_hooks(profile: Profile) -> InstallHooks:
    """What a profile names for its installation."""
    return cast("InstallHooks", importlib.import_module(f"shared.mesh.{profile.hooks}.installing"))


def verify_hooks(profile: Profile) -> VerifyHooks:
    """What a profile names for its verification."""
    return cast("VerifyHooks", importlib.import_module(f"shared.mesh.{profile.hooks}.verifying"))


def restart_hooks(profile: Profile) -> RestartHooks:
    """What a profile names for restarts."""
    return cast("RestartHooks", importlib.import_module(f"shared.mesh.{profile.hooks}.injecting"))
