"""Settings, read once from the environment and validated at cold start; each field says its unit and default.

A setting is an environment variable named in its metadata. Nothing else in the package reads the environment.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from shared.errors import Permanent

_POOL = re.compile(r"projects/[^/]+/locations/[^/]+/caPools/[^/]+")


def _seconds(text: str) -> float:
    value = float(text)
    if value < 0:
        raise ValueError("must not be negative")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError("must not be negative")
    return value


def _pool(text: str) -> str:
    if _POOL.fullmatch(text) is None:
        raise ValueError("must be projects/P/locations/L/caPools/C")
    return text


def _setting(variable: str, default: Any, meaning: str, read: Callable[[str], Any] = str) -> Any:
    return dataclasses.field(default=default, metadata={"variable": variable, "meaning": meaning, "read": read})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a function needs to know of its surroundings; every field's meaning, unit and default is in its metadata."""

    project: str = _setting("GOOGLE_CLOUD_PROJECT", "", "id of the project that holds the topics, queue and secret")
    install_topic: str = _setting("BYOMESH_INSTALL_TOPIC", "mesh-install", "topic of InstallRequests")
    verify_topic: str = _setting("BYOMESH_VERIFY_TOPIC", "mesh-verify", "topic of VerifyRequests")
    enforce_topic: str = _setting(
        "BYOMESH_ENFORCE_TOPIC", "mesh-enforce", "topic of sweeps, and of looks at one cluster"
    )
    status_topic: str = _setting("BYOMESH_STATUS_TOPIC", "mesh-status", "topic on which every MeshStatus is published")
    events_topic: str = _setting(
        "BYOMESH_EVENTS_TOPIC", "cluster-events", "topic of cluster events: a log sink's, and waiting ones come again"
    )
    queue: str = _setting(
        "BYOMESH_QUEUE", "", "full name of the Cloud Tasks queue that waits: projects/P/locations/L/queues/Q"
    )
    work_queue: str = _setting(
        "BYOMESH_WORK_QUEUE",
        "",
        "full name of the Cloud Tasks queue of claims, needed where the policy sets limits.clustersAtOnce",
    )
    tasks_service_account: str = _setting(
        "BYOMESH_TASKS_SERVICE_ACCOUNT", "", "e-mail of the account whose OAuth token publishes a due task's message"
    )
    trust_anchor_secret: str = _setting(
        "BYOMESH_TRUST_ANCHOR_SECRET", "", "Secret Manager secret of the fleet's trust anchor: projects/P/secrets/S"
    )
    ca_pool: str = _setting(
        "BYOMESH_CA_POOL",
        "",
        "Certificate Authority Service's pool in that secret's place: projects/P/locations/L/caPools/C",
        _pool,
    )
    own_accounts: str = _setting(
        "BYOMESH_OWN_ACCOUNTS",
        "enable-net-admin,enforce-policy",
        "accounts by which byomesh itself updates clusters, with commas between: e-mails, or names in its own project",
    )
    policy: str = _setting(
        "BYOMESH_POLICY",
        "",
        "the policy: a file's path, gs://BUCKET/OBJECT, or the YAML itself; the built-in policy where empty",
    )
    policy_step: float = _setting(
        "BYOMESH_POLICY_STEP", 10.0, "seconds between two looks at a policy in Cloud Storage", _seconds
    )
    policy_limit: float = _setting(
        "BYOMESH_POLICY_LIMIT",
        300.0,
        "seconds that a policy from Cloud Storage holds since it was last looked at, while Cloud Storage can't answer",
        _seconds,
    )
    gke_endpoint: str = _setting(
        "BYOMESH_GKE_ENDPOINT", "container.googleapis.com", "host[:port] of the GKE API (restricted endpoints differ)"
    )
    tasks_endpoint: str = _setting(
        "BYOMESH_TASKS_ENDPOINT", "cloudtasks.googleapis.com", "host[:port] of the Cloud Tasks API"
    )
    secret_manager_endpoint: str = _setting(
        "BYOMESH_SECRET_MANAGER_ENDPOINT", "secretmanager.googleapis.com", "host[:port] of the Secret Manager API"
    )
    private_ca_endpoint: str = _setting(
        "BYOMESH_PRIVATE_CA_ENDPOINT",
        "privateca.googleapis.com",
        "host[:port] of the Certificate Authority Service API",
    )
    storage_endpoint: str = _setting(
        "BYOMESH_STORAGE_ENDPOINT", "https://storage.googleapis.com", "URL of the Cloud Storage API"
    )
    logging_endpoint: str = _setting(
        "BYOMESH_LOGGING_ENDPOINT", "logging.googleapis.com", "host[:port] of the Cloud Logging API"
    )
    pubsub_rest_endpoint: str = _setting(
        "BYOMESH_PUBSUB_REST_ENDPOINT", "https://pubsub.googleapis.com", "URL that a Cloud Tasks task publishes to"
    )
    charts: str = _setting(
        "BYOMESH_CHARTS", "", "folder of charts to install instead of the repository's (MESH/CHART, then CHART)"
    )
    helm: str = _setting("BYOMESH_HELM", "helm", "the Helm 4 program")
    helm_timeout: float = _setting(
        "BYOMESH_HELM_TIMEOUT", 240.0, "seconds after which one helm run is killed", _seconds
    )
    operation_step: float = _setting(
        "BYOMESH_OPERATION_STEP", 15.0, "seconds between two looks at a running GKE operation", _seconds
    )
    operation_limit: float = _setting(
        "BYOMESH_OPERATION_LIMIT", 3_600.0, "seconds after which a cluster waiting for an operation is Stuck", _seconds
    )
    readiness_poll: float = _setting(
        "BYOMESH_READINESS_POLL", 2.0, "seconds that one verification looks for readiness before it waits", _seconds
    )
    readiness_step: float = _setting(
        "BYOMESH_READINESS_STEP", 15.0, "seconds between two verifications of pods that are not ready", _seconds
    )
    readiness_limit: float = _setting(
        "BYOMESH_READINESS_LIMIT", 1_800.0, "seconds after which a cluster whose pods are not ready is Stuck", _seconds
    )
    upgrade_limit: float = _setting(
        "BYOMESH_UPGRADE_LIMIT",
        600.0,
        "seconds after which an upgrade whose pods are not ready is rolled back; half of the readiness limit at most",
        _seconds,
    )
    log_step: float = _setting(
        "BYOMESH_LOG_STEP", 10.0, "seconds between two looks for an audit entry that the log doesn't show yet", _seconds
    )
    log_limit: float = _setting(
        "BYOMESH_LOG_LIMIT", 60.0, "seconds after an update's end for which the log may lack its author", _seconds
    )
    pause_look: float = _setting(
        "BYOMESH_PAUSE_LOOK", 5.0, "seconds that an instance trusts its last look at the queues", _seconds
    )
    paused_step: float = _setting(
        "BYOMESH_PAUSED_STEP", 300.0, "seconds between two looks at a cluster that the policy pauses", _seconds
    )
    capacity_step: float = _setting(
        "BYOMESH_CAPACITY_STEP",
        30.0,
        "seconds between two looks for a place where as many clusters are worked on as the policy allows",
        _seconds,
    )
    work_limit: float = _setting(
        "BYOMESH_WORK_LIMIT",
        1_200.0,
        "seconds that a cluster's claim lasts if nobody renews it; twice a function's timeout at least",
        _seconds,
    )
    cluster_patience: float = _setting(
        "BYOMESH_CLUSTER_PATIENCE",
        60.0,
        "seconds that one delivery's requests to a cluster's API server may take together; then the cluster waits",
        _seconds,
    )
    lease_duration: float = _setting(
        "BYOMESH_LEASE_DURATION", 300.0, "seconds that a worker owns a cluster; longer than helm_timeout", _seconds
    )
    lease_step: float = _setting(
        "BYOMESH_LEASE_STEP", 10.0, "seconds until the next look at a Lease that another worker holds", _seconds
    )
    repair_attempts: int = _setting(
        "BYOMESH_REPAIR_ATTEMPTS", 3, "repairs handed back for one request before it is reported as failed", _count
    )
    restarts_at_once: int = _setting(
        "BYOMESH_RESTARTS_AT_ONCE", 3, "meshed workloads that are restarted at the same time on one cluster", _count
    )
    restart_deadline: float = _setting(
        "BYOMESH_RESTART_DEADLINE",
        600.0,
        "seconds after which a restart that isn't rolled out stops the others",
        _seconds,
    )
    restart_limit: float = _setting(
        "BYOMESH_RESTART_LIMIT", 21_600.0, "seconds after which a cluster whose workloads restart is Stuck", _seconds
    )
    release: str = _setting("K_REVISION", "", "the running revision, as Cloud Run names it; only for the log")

    @property
    def pushed_topics(self) -> tuple[str, ...]:
        """The topics that functions are pushed; each has a dead letter behind it."""
        return (self.events_topic, self.install_topic, self.verify_topic, self.enforce_topic)

    @property
    def accounts(self) -> frozenset[str]:
        """E-mails of the accounts by which this system itself updates clusters."""
        names = filter(None, (name.strip() for name in self.own_accounts.split(",")))
        return frozenset(name if "@" in name else f"{name}@{self.project}.iam.gserviceaccount.com" for name in names)

    def topic(self, name: str) -> str:
        """Full resource name of a topic given by its short or full name."""
        return name if name.startswith("projects/") else f"projects/{self.project}/topics/{name}"


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read and validate the settings.

    Raises:
        Permanent: a value can't be read, or a combination can't work; every fault is named, not only the first.
    """
    values: dict[str, Any] = {}
    faults: list[str] = []
    for field in dataclasses.fields(Settings):
        text = environment.get(field.metadata["variable"], "")
        if text == "":
            continue
        try:
            values[field.name] = field.metadata["read"](text)
        except ValueError as error:
            faults.append(f"{field.metadata['variable']}={text!r}: {error} ({field.metadata['meaning']})")
    settings = Settings(**values) if not faults else Settings()
    if not faults and settings.lease_duration <= settings.helm_timeout:
        faults.append(
            f"BYOMESH_LEASE_DURATION ({settings.lease_duration:g} s) must be longer than "
            f"BYOMESH_HELM_TIMEOUT ({settings.helm_timeout:g} s), or two workers could install at once"
        )
    if settings.ca_pool and settings.trust_anchor_secret:
        faults.append(
            "BYOMESH_CA_POOL and BYOMESH_TRUST_ANCHOR_SECRET are both set: the fleet trusts either a pool of CAs or "
            "the anchor in a secret"
        )
    if faults:
        raise Permanent("BadSettings", "; ".join(faults), remedy="correct the function's environment variables")
    return settings


@functools.cache
def settings() -> Settings:
    """This process's settings, read at the first call; raises as `read_settings` does."""
    return read_settings(os.environ)
