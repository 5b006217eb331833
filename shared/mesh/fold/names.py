"""Labels, annotations and variables that Linkerd knows its own by (pkg/k8s/labels.go, pkg/identity/service.go)."""

from __future__ import annotations

CONTROL_PLANE_NS = "linkerd.io/control-plane-ns"
"""On every object of a control plane and on every meshed pod; its value is the control plane's namespace."""
COMPONENT = "linkerd.io/control-plane-component"
CNI_RESOURCE = "linkerd.io/cni-resource"
EXTENSION = "linkerd.io/extension"
CREATED_BY = "linkerd.io/created-by"
INJECT = "linkerd.io/inject"
EXPORTED = "mirror.linkerd.io/exported"
OPAQUE_PORTS = "config.linkerd.io/opaque-ports"
PROXY_VERSION = "config.linkerd.io/proxy-version"
"""A pod's own wish for another proxy than the control plane's."""
NAMESPACE_NAME = "kubernetes.io/metadata.name"
"""The API server sets it on every namespace; a recorded one may lack it."""

INJECTOR = "linkerd-proxy-injector-webhook-config"
"""The injector's MutatingWebhookConfiguration."""
PROXY = "linkerd-proxy"
"""The proxy's container."""
NETWORKS_ARGUMENT = "--cluster-networks"
PROFILE_NETWORKS = "LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS"
POLICY_NETWORKS = "LINKERD2_PROXY_POLICY_CLUSTER_NETWORKS"
TRUST_ANCHORS = "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS"


def misplaced_label(name: str) -> bool:
    """Whether a label has an effect only as an annotation (pkg/healthcheck/healthcheck_labels.go)."""
    return name == INJECT or name.startswith(("config.linkerd.io", "config.alpha.linkerd.io"))


def misplaced_annotation(name: str) -> bool:
    """Whether an annotation has an effect only as a label."""
    return name == EXPORTED
