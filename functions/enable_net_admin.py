"""GKE's cluster-creation entries: decide by policy, allow NET_ADMIN, queue the mesh."""

import functions_framework

from shared import delivery, events, policy_source
from shared.config import settings
from shared.gke import gke
from shared.model import ClusterEvent, InstallRequest
from shared.outcome import Outcome
from shared.stages import enable
from shared.stages.braking import brake


@functions_framework.cloud_event
@delivery.Deliver[ClusterEvent | InstallRequest]("enable", events.cluster_event)
def enable_net_admin(request: ClusterEvent | InstallRequest) -> Outcome:
    """Handle one audit entry, or a request to begin with enabling."""
    return enable.run(
        request, google=gke(), rules=policy_source.load(settings().policy), settings=settings(), brake=brake()
    )
