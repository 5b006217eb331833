"""GKE's cluster-update entries, looks at one cluster, and sweeps: what differs from the policy is told and repaired."""

import datetime as dt
import functools

import functions_framework

from shared import delivery, events, kube, policy_source
from shared.cloud_logging import cloud_logging
from shared.config import settings
from shared.gke import gke
from shared.model import ClusterEvent, EnforceRequest, SweepRequest
from shared.outcome import Outcome
from shared.stages import faults, sweep
from shared.stages.braking import brake
from shared.stages.case import Subject
from shared.stages.enforce import Enforcer

_token = functools.cache(kube.default_token)


@functions_framework.cloud_event
@delivery.Deliver[ClusterEvent | EnforceRequest | SweepRequest]("enforce", events.enforcement)
def enforce_policy(request: ClusterEvent | EnforceRequest | SweepRequest) -> Outcome:
    """Handle one audit entry of an update, a request to look at one cluster, or one to sweep."""
    if isinstance(request, SweepRequest):
        return sweep.run(request)
    rules = policy_source.load(settings().policy)
    return Enforcer(
        google=gke(),
        log=cloud_logging(),
        connect=lambda cluster: kube.connect(
            cluster.access,
            _token(),
            cluster=str(cluster.ref),
            patience=faults.patience(request, settings(), dt.datetime.now(dt.UTC)),
        ),
        rules=rules,
        undone_within_a_day=rules.limits.undone_within_a_day,
        settings=settings(),
        clock=lambda: dt.datetime.now(dt.UTC),
        brake=brake(),
    ).look(Subject.of(request))
