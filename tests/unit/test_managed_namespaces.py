"""Who may write to the namespaces that GKE manages."""

from __future__ import annotations

import pytest

from byomesh.local.managed_namespaces import conditions, denial

INSTALLER = "install-mesh@p.iam.gserviceaccount.com"


def asked(user: str, verb: str = "create", namespace: str = "kube-system") -> dict[str, object]:
    return {"user": user, "resourceAttributes": {"verb": verb, "namespace": namespace, "resource": "rolebindings"}}


@pytest.mark.parametrize("user", [INSTALLER, "system:serviceaccount:linkerd-viz:tap"])
@pytest.mark.parametrize("verb", ["create", "patch", "delete"])
def test_nobody_writes_there(user: str, verb: str) -> None:
    assert denial(asked(user, verb)) == (
        'GKE Warden authz [denied by managed-namespaces-limitation]: the namespace "kube-system" is managed and the '
        f'request\'s verb "{verb}" is denied'
    )


@pytest.mark.parametrize(
    "spec",
    [
        asked(INSTALLER, "get"),
        asked(INSTALLER, namespace="linkerd-viz"),
        asked(INSTALLER, namespace=""),
        asked("system:kube-controller-manager"),
        asked("system:serviceaccount:kube-system:job-controller"),
        {"user": INSTALLER, "nonResourceAttributes": {"verb": "get", "path": "/healthz"}},
    ],
)
def test_everything_else_is_left_to_others(spec: dict[str, object]) -> None:
    assert denial(spec) == ""


def test_the_api_server_asks_about_nothing_else() -> None:
    assert [condition.partition(" ")[2] for condition in conditions()][1:] == [
        "in ['gke-managed-system', 'gmp-system', 'kube-node-lease', 'kube-public', 'kube-system']",
        "in ['create', 'update', 'patch', 'delete', 'deletecollection']",
    ]
