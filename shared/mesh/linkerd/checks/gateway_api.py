"""gateway-api-crd: the Gateway API's route CRDs, Linkerd's own or new enough."""

from __future__ import annotations

from shared.mesh.fold import names
from shared.mesh.linkerd.checks.check import Category, Check, Evidence, Fault, Severity, Verdict

_ROUTES = ("httproutes.gateway.networking.k8s.io", "grpcroutes.gateway.networking.k8s.io")
_ABSENT = (
    "The Gateway API CRDs must be installed prior to installing Linkerd. Run:\n\nkubectl apply --server-side -f "
    "https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.5.1/standard-install.yaml\n\nor see "
    "https://gateway-api.sigs.k8s.io/guides/#installing-gateway-api for more options."
)


def _installed(evidence: Evidence) -> Verdict:
    found = {crd.name: crd for crd in evidence.snapshot.crds}
    present = [found[name] for name in _ROUTES if name in found]
    for crd in present:
        if crd.annotations.get(names.CREATED_BY):
            return None
        if "v1" not in crd.versions:
            return Fault(f"the {crd.name} CRD is missing the v1 version, please upgrade to Gateway API v1.1.1 or later")
    return None if present else Fault(_ABSENT)


CATEGORY = Category(
    "gateway-api-crd",
    (Check("gateway-api-crds", "Gateway API CRDs are installed", "gateway-api-crd", _installed, Severity.FATAL),),
)
