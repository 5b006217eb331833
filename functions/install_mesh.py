"""The topic of InstallRequests: wait for GKE, install or repair the mesh, queue its verification."""

import datetime as dt
import functools

import functions_framework

from shared import delivery, events, kube, policy_source
from shared.config import settings
from shared.gke import gke
from shared.helm import Helm, kubeconfig
from shared.mesh.fleet import fleet_store
from shared.model import InstallRequest
from shared.outcome import Outcome
from shared.stages import faults, install
from shared.stages.braking import brake

_token = functools.cache(kube.default_token)


@functions_framework.cloud_event
@delivery.Deliver("install", events.install_request)
def install_mesh(request: InstallRequest) -> Outcome:
    """Handle one InstallRequest."""
    return install.run(
        request,
        google=gke(),
        connect=lambda cluster: kube.connect(
            cluster.access,
            _token(),
            cluster=str(cluster.ref),
            patience=faults.patience(request, settings(), dt.datetime.now(dt.UTC)),
        ),
        helm_for=lambda cluster: Helm(
            settings(), lambda: kubeconfig(cluster.access, _token()()), cluster=str(cluster.ref)
        ),
        store=fleet_store(settings()),
        rules=policy_source.load(settings().policy),
        settings=settings(),
        clock=lambda: dt.datetime.now(dt.UTC),
        brake=brake(),
    )
