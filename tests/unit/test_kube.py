from __future__ import annotations

import json
from typing import Any

import pytest

from shared import kube_errors
from shared.cluster import ControlPlaneAccess, is_dns_endpoint
from shared.errors import ByomeshError, Permanent, Refused, Temporary
from shared.kube import (
    AdmissionDenied,
    AlreadyExists,
    Conflict,
    FieldConflict,
    IamNotReady,
    Invalid,
    NotFound,
    Unauthorized,
    Unavailable,
    UnknownKind,
    connect,
)

WARDEN = (
    'admission webhook "warden-validating.common-webhooks.networking.gke.io" denied the request: GKE Warden rejected '
    'the request because it violates one or more constraints.\nViolations details: {"[denied by '
    "autogke-default-linux-capabilities]\":[\"linux capability 'NET_ADMIN' on container 'linkerd-init' not allowed\"]}"
)


def status(message: str, **fields: Any) -> bytes:
    return json.dumps(
        {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, **fields}
    ).encode()


def answer(code: int, body: bytes) -> ByomeshError:
    return kube_errors.from_response(code, body, tried="POST /api/v1/pods", cluster="projects/p")


@pytest.mark.parametrize(
    ("code", "body", "kind", "reason"),
    [
        (401, status("Unauthorized"), Unauthorized, "Unauthorized"),
        (403, status('pods is forbidden: User "x" cannot create resource "pods"'), IamNotReady, "IamNotReady"),
        (403, status('forbidden: User "x" cannot get path "/readyz"'), IamNotReady, "IamNotReady"),
        (403, b'{"error": {"code": 403, "message": "container.clusters.connect"}}', IamNotReady, "IamNotReady"),
        (403, b"<html>Forbidden</html>", IamNotReady, "IamNotReady"),
        (403, status('pods "x" is forbidden: violates PodSecurity "restricted"'), AdmissionDenied, "AdmissionDenied"),
        (403, status('pods "x" is forbidden: serviceaccount "default" not found'), AdmissionDenied, "AdmissionDenied"),
        (
            403,
            status(
                'pods "x" is forbidden: unable to create new content in namespace y because it is being terminated',
                details={"causes": [{"reason": "NamespaceTerminating", "message": "", "field": "metadata.namespace"}]},
            ),
            Unavailable,
            "ApiServerUnavailable",
        ),
        (
            403,
            status(
                'secrets is forbidden: User "x" cannot create resource "secrets" in the namespace "kube-system": '
                'GKEAutopilot authz: the namespace "kube-system" is managed and the request\'s verb "create" is denied'
            ),
            AdmissionDenied,
            "ManagedByGke",
        ),
        (
            403,
            status(
                'rolebindings.rbac.authorization.k8s.io is forbidden: User "x" cannot create resource "rolebindings" '
                'in API group "rbac.authorization.k8s.io" in the namespace "kube-system": GKE Warden authz '
                '[denied by managed-namespaces-limitation]: the namespace "kube-system" is managed and the request\'s '
                'verb "create" is denied'
            ),
            AdmissionDenied,
            "ManagedByGke",
        ),
        (400, status(WARDEN), AdmissionDenied, "AdmissionDenied"),
        (403, status(WARDEN), AdmissionDenied, "AdmissionDenied"),
        (
            422,
            status("pods \"x\" is forbidden: ValidatingAdmissionPolicy 'a' with binding 'b' denied request: no"),
            AdmissionDenied,
            "AdmissionDenied",
        ),
        (404, status('namespaces "x" not found'), NotFound, "ObjectGone"),
        (409, status('pods "x" already exists', reason="AlreadyExists"), AlreadyExists, "AlreadyExists"),
        (409, status("the object has been modified", reason="Conflict"), Conflict, "Conflict"),
        (410, status("expired"), Unavailable, "ApiServerUnavailable"),
        (429, status("slow down"), Unavailable, "ApiServerUnavailable"),
        (500, status('failed calling webhook "x"'), Unavailable, "ApiServerUnavailable"),
        (503, b"", Unavailable, "ApiServerUnavailable"),
        (302, b"", Unavailable, "ApiServerUnavailable"),
        (400, status("bad"), Invalid, "ObjectInvalid"),
        (415, b"what", Invalid, "ObjectInvalid"),
    ],
)
def test_answers_are_sorted(code: int, body: bytes, kind: type[ByomeshError], reason: str) -> None:
    found = answer(code, body)
    assert type(found) is kind
    assert (found.reason, found.cluster, found.tried) == (reason, "projects/p", "POST /api/v1/pods")
    assert found.remedy


def test_a_denial_keeps_the_whole_words() -> None:
    assert answer(400, status(WARDEN)).problem == WARDEN


def test_fields_that_the_message_does_not_name_are_added() -> None:
    causes = [{"reason": "FieldValueRequired", "message": "Required value", "field": "spec.ports"}]
    assert answer(422, status("invalid", details={"causes": causes})).problem == "invalid (spec.ports: Required value)"
    named = status("invalid: spec.ports: Required value", details={"causes": causes})
    assert answer(422, named).problem == "invalid: spec.ports: Required value"
    assert answer(422, status("invalid", details={"causes": None})).problem == "invalid"


def test_conflicting_managers_are_named() -> None:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "kubectl-patch" using v1',
            "field": ".data.values",
        },
        {"reason": "FieldManagerConflict", "message": 'conflict with "a \\"b\\"" using v1', "field": ".data.x"},
        {"reason": "FieldManagerConflict", "message": "someone", "field": ".data.y"},
        {"reason": "Other", "message": "", "field": ".data.z"},
    ]
    found = answer(409, status("Apply failed with 3 conflicts", reason="Conflict", details={"causes": causes}))
    assert isinstance(found, FieldConflict)
    assert found.managers == (("kubectl-patch", ".data.values"), ('a \\"b\\"', ".data.x"), ("someone", ".data.y"))


def test_a_body_that_is_no_status_gives_its_beginning() -> None:
    found = kube_errors.read_status(b"<html>" + b"x" * 1_000)
    assert found.message.startswith("<html>xxx")
    assert len(found.message) < 350


def test_the_tree_is_as_drawn() -> None:
    passing = (Unauthorized, IamNotReady, NotFound, AlreadyExists, Conflict, FieldConflict, UnknownKind, Unavailable)
    assert all(issubclass(kind, Temporary) for kind in passing)
    assert issubclass(Invalid, Permanent)
    assert issubclass(AdmissionDenied, Refused)


def test_a_cluster_without_a_way_in_is_refused() -> None:
    access = ControlPlaneAccess(endpoint="", private_only="only from inside")
    with pytest.raises(Refused, match="only from inside") as raised:
        connect(access, lambda: "token", cluster="projects/p")
    assert (raised.value.reason, raised.value.cluster) == ("NoControlPlaneAccess", "projects/p")


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("gke-1.europe-west1.gke.goog", True),
        ("gke-1.europe-west1.gke.goog.:443", True),
        ("203.0.113.7", False),
        ("gke.goog.example.com", False),
    ],
)
def test_dns_endpoints_are_known_by_their_suffix(endpoint: str, expected: bool) -> None:
    assert is_dns_endpoint(endpoint) is expected
