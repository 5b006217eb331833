"""Everything but pods, Services and linkerd-config: one function an object."""

from __future__ import annotations

from typing import Final

from shared.mesh import snapshot
from shared.mesh.fold import kinds, names, wire

_CERTIFICATES: Final = ("tls.crt", "crt.pem", "ca.crt")
_KEYS: Final = ("tls.key", "key.pem")


def named(found: kinds.Object) -> snapshot.Named:
    """Any object's name, labels and annotations."""
    return snapshot.Named(found.metadata.name, found.metadata.labels, found.metadata.annotations)


def node(found: kinds.Node) -> snapshot.Node:
    """A node."""
    return snapshot.Node(found.metadata.name, found.spec.pod_cidr, found.status.node_info.container_runtime_version)


def _conditions(status: kinds.WorkloadStatus) -> tuple[snapshot.Condition, ...]:
    return tuple(snapshot.Condition(one.type, one.status, one.reason, one.message) for one in status.conditions)


def deployment(found: kinds.Workload) -> snapshot.Deployment:
    """A Deployment, with every copy of clusterNetworks in its pod template."""
    spec, status = found.spec.template.spec, found.status
    return snapshot.Deployment(
        name=found.metadata.name,
        labels=found.metadata.labels,
        wanted=found.spec.replicas,
        updated=status.updated_replicas,
        ready=status.ready_replicas,
        available=status.available_replicas,
        generation=found.metadata.generation,
        observed_generation=status.observed_generation,
        conditions=_conditions(status),
        networks=tuple(
            held
            for init, containers in ((True, spec.init_containers), (False, spec.containers))
            for container in containers
            for held in _held(container, init=init)
        ),
    )


def _held(container: wire.Container, *, init: bool) -> list[snapshot.HeldNetworks]:
    """Where a container holds clusterNetworks (charts/.../destination.yaml, charts/partials/.../_proxy.tpl)."""
    pairs = [argument.partition("=")[::2] for argument in container.args]
    pairs += [(variable.name, variable.value) for variable in container.env]
    return [
        snapshot.HeldNetworks(container.name, init, name, value)
        for name, value in pairs
        if name in (names.NETWORKS_ARGUMENT, names.PROFILE_NETWORKS, names.POLICY_NETWORKS)
    ]


def replica_set(found: kinds.Workload) -> snapshot.ReplicaSet:
    """A ReplicaSet."""
    return snapshot.ReplicaSet(
        name=found.metadata.name,
        wanted=found.spec.replicas,
        ready=found.status.ready_replicas,
        conditions=_conditions(found.status),
    )


def cron_job(found: kinds.CronJob) -> snapshot.CronJob:
    """A CronJob."""
    return snapshot.CronJob(found.metadata.name, found.spec.schedule, found.spec.suspend)


def crd(found: kinds.Crd) -> snapshot.Crd:
    """A CustomResourceDefinition; schemas are skipped."""
    return snapshot.Crd(
        found.metadata.name,
        tuple(version.name for version in found.spec.versions),
        found.metadata.labels,
        found.metadata.annotations,
    )


def webhooks(found: kinds.Webhooks) -> snapshot.Webhooks:
    """A mutating or validating webhook configuration."""
    return snapshot.Webhooks(
        found.metadata.name,
        tuple(webhook.client_config.ca_bundle.decode(errors="replace") for webhook in found.webhooks),
        found.metadata.labels,
        tuple(webhook.namespace_selector for webhook in found.webhooks),
        tuple(webhook.object_selector for webhook in found.webhooks),
    )


def credential(found: kinds.Secret) -> snapshot.Credential:
    """The public part of a TLS Secret; the private keys are read for their public halves and let go."""
    # The certificate library takes a while to import, and most callers of this module have no Secret to read.
    from shared.mesh.fold.pem import public_half  # noqa: PLC0415

    data = found.data
    return snapshot.Credential(
        found.metadata.name,
        {key: data[key].decode(errors="replace") for key in _CERTIFICATES if key in data},
        {key: public_half(data[key]) for key in _KEYS if key in data},
    )
