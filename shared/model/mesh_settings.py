"""How a mesh should be on a cluster, as far as the policy and not the profile decides it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

IptablesMode = Literal["nft", "legacy"]
"""Which iptables the mesh's init container calls (charts/linkerd-control-plane/values.yaml, proxyInit.iptablesMode)."""


class Images(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Where a cluster pulls the mesh's images from.

    Attributes:
        registry: replaces the registry and path of every image, such as `europe-docker.pkg.dev/P/mesh`; "" keeps them.
        digests: `sha256:...` by the image's last name, such as `proxy`; an image named here is pulled by digest.
    """

    registry: str = ""
    digests: dict[str, str] = {}


class MeshSettings(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The settings of a policy's rule; YAML spells them in camelCase.

    Attributes:
        version: the mesh's version; None means the profile's.
        ha: whether the control plane is made highly available.
        viz: whether the mesh's dashboard and metrics are installed; None leaves them as they are.
        emojivoto: whether the demo application is installed; None leaves it as it is.
        cluster_networks: `computed` adds the cluster's ranges to clusterNetworks, `chart` leaves what the chart says.
        restart_workloads: whether meshed workloads whose proxies run with outdated settings are restarted.
        adopt: whether a mesh that others installed is taken over.
        iptables_mode: for the init container; None means the chart's default.
        priority_class: name of a PriorityClass to make and to give the control plane; "" means none.
        images: registry and digests.
        values: Helm values by release, laid over the profile's.
    """

    version: str | None = None
    ha: bool = False
    viz: bool | None = None
    emojivoto: bool | None = None
    cluster_networks: Literal["computed", "chart"] = "computed"
    restart_workloads: bool = False
    adopt: bool = False
    iptables_mode: IptablesMode | None = None
    priority_class: str = ""
    images: Images = Images()
    values: dict[str, dict[str, Any]] = {}

    @property
    def options(self) -> dict[str, bool]:
        """The optional releases that are decided on, by the name of the option in the profile."""
        named = {"viz": self.viz, "emojivoto": self.emojivoto}
        return {option: wished for option, wished in named.items() if wished is not None}


OPTIONS = ("viz", "emojivoto")
"""The settings that decide on the extensions of a mesh."""
UNDECIDED = MeshSettings()
"""What holds where no policy says more."""
