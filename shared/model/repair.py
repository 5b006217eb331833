"""The repairs by name, and what to do where there is none."""

from __future__ import annotations

import enum

import msgspec


class Repair(enum.StrEnum):
    """A repair's name, as plans, statuses, requests and the log say it; each is a constant of the messages."""

    CLUSTER_NETWORKS = "clusterNetworks"
    """clusterNetworks in every place of the mesh's own namespace that holds it."""
    NAMESPACE_LABELS = "namespaceLabels"
    """The control plane's namespace, or labels that it lacks."""
    WEBHOOK_CONFIGURATION = "webhookConfiguration"
    """A mutating or validating webhook configuration."""
    RBAC = "rbac"
    """A role or its binding, of the cluster or of a namespace."""
    CRD = "crd"
    """A CustomResourceDefinition."""
    SERVICE_ACCOUNT = "serviceAccount"
    """A ServiceAccount."""
    CONFIG = "config"
    """A ConfigMap, such as linkerd-config or the trust roots."""
    WORKLOAD = "workload"
    """A Deployment or CronJob of the mesh itself."""
    SERVICE = "service"
    """A Service of the mesh itself."""
    OTHER_OBJECT = "otherObject"
    """Any other object of a release."""
    ISSUER_RENEWAL = "issuerRenewal"
    """The cluster's identity issuer: missing, unreadable, near its end, or not of the fleet's anchor."""
    SERVING_CERTIFICATE_RENEWAL = "servingCertificateRenewal"
    """A webhook's serving certificate: missing, unreadable or near its end."""
    RELEASE_REAPPLIED = "releaseReapplied"
    """A whole Helm release: missing, unfinished, failed, or of other values than wished."""
    HELM_VALUES = "helmValues"
    """What a Helm release of others remembers as its values, so that its next upgrade keeps a repair."""
    RESTART_WORKLOADS = "restartWorkloads"
    """Meshed workloads whose proxies run with outdated settings, restarted by rollout."""


class Remedy(msgspec.Struct, frozen=True):
    """What helps against one failing or warning check.

    Attributes:
        check: the check's description, as the mesh's own tool prints it.
        repairs: names of the repairs that mend it; empty where none does.
        advice: what to do where no repair does, or where the repairs don't help; "" where nothing is to be said.
    """

    check: str
    repairs: tuple[Repair, ...] = ()
    advice: str = ""


class OutdatedWorkloads(msgspec.Struct, frozen=True):
    """Meshed workloads whose proxies run with other settings than the control plane's, or are missing.

    Attributes:
        pods: how many pods there are of these, of workloads that aren't named too.
        workloads: the first hundred, as `KIND NAMESPACE/NAME`.
    """

    pods: int = 0
    workloads: tuple[str, ...] = ()
