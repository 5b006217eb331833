"""What grows with a cluster, folded: counts, and the first `SHOWN` of what stands out, in the API server's order."""

from __future__ import annotations

import msgspec

SHOWN = 100
"""How many of the pods or Services that stand out a snapshot keeps by name."""


class Uncovered(msgspec.Struct, frozen=True):
    """A pod or Service whose address lies outside clusterNetworks.

    Attributes:
        namespace: its namespace.
        name: its name.
        ip: pod: status.podIP; Service: spec.clusterIP.
    """

    namespace: str
    name: str
    ip: str


class AddressFold(msgspec.Struct, frozen=True):
    """All pods or all Services, against clusterNetworks.

    Attributes:
        total: how many there are.
        judged: how many have an address that has to be covered (no host network, no headless Service).
        uncovered: how many of these lie outside; 0 where clusterNetworks can't be read.
        first: the first `SHOWN` of them.
    """

    total: int = 0
    judged: int = 0
    uncovered: int = 0
    first: tuple[Uncovered, ...] = ()


class MeshedPod(msgspec.Struct, frozen=True):
    """A meshed pod that stands out.

    Attributes:
        namespace, name: the pod's.
        why: what stands out: its status, its version, its labels, by where it is listed.
    """

    namespace: str
    name: str
    why: str


class Standouts(msgspec.Struct, frozen=True):
    """How many stand out, and the first `SHOWN` of them."""

    count: int = 0
    first: tuple[MeshedPod, ...] = ()


class ProxyVersion(msgspec.Struct, frozen=True):
    """The running proxies of one version."""

    version: str
    pods: Standouts


class ProxyFold(msgspec.Struct, frozen=True, kw_only=True):
    """All pods that carry the control plane's label, in all namespaces.

    Attributes:
        total: how many there are, the control plane's own too.
        failing: those neither finished nor running with a ready proxy; `why` is the sentence of the CLI.
        versions: running proxies by version, in order of first sight.
        distrusting: those outside the control plane whose trust bundle is not the current one.
        mislabelled: those with labels that should be annotations; `why` lists the labels, tab-indented lines.
    """

    total: int = 0
    failing: Standouts = Standouts()
    versions: tuple[ProxyVersion, ...] = ()
    distrusting: Standouts = Standouts()
    mislabelled: Standouts = Standouts()


class ServiceFold(msgspec.Struct, frozen=True):
    """Services whose metadata is wrong for the mesh: `why` lists the labels or annotations, tab-indented lines."""

    mislabelled: Standouts = Standouts()
    misannotated: Standouts = Standouts()


class OpaqueFold(msgspec.Struct, frozen=True):
    """What Services and the pods behind them say differently of opaque ports.

    Attributes:
        absent: what the cluster should have and hasn't, in the CLI's words, which is then all that the CLI says; or "".
        count: how many pairs of a Service and a pod disagree.
        first: the first `SHOWN` of them, in the CLI's words.
    """

    absent: str = ""
    count: int = 0
    first: tuple[str, ...] = ()
