"""The topic of VerifyRequests: check the mesh, mend clusterNetworks, report."""

import datetime as dt
import functools

import functions_framework

from shared import delivery, events, kube, policy_source
from shared.config import settings
from shared.gke import gke
from shared.model import VerifyRequest
from shared.outcome import Outcome
from shared.stages import faults, verify
from shared.stages.braking import brake

_token = functools.cache(kube.default_token)


@functions_framework.cloud_event
@delivery.Deliver("verify", events.verify_request)
def verify_mesh(request: VerifyRequest) -> Outcome:
    """Handle one VerifyRequest."""
    return verify.run(
        request,
        google=gke(),
        connect=lambda cluster: kube.connect(
            cluster.access,
            _token(),
            cluster=str(cluster.ref),
            patience=faults.patience(request, settings(), dt.datetime.now(dt.UTC)),
        ),
        rules=policy_source.load(settings().policy),
        settings=settings(),
        clock=lambda: dt.datetime.now(dt.UTC),
        brake=brake(),
    )
