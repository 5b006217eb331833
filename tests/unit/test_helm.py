from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from shared.cluster import ControlPlaneAccess
from shared.config import Settings
from shared.errors import ByomeshError, Permanent, Refused, Temporary
from shared.helm import ChartInvalid, Helm, HelmFailed, OwnedByOthers, ReleasePending, RevisionMissing, kubeconfig
from shared.helm.failure import conflicts, read_failure, readable, secrets_of
from shared.kube_errors import (
    AdmissionDenied,
    FieldConflict,
    IamNotReady,
    Unauthorized,
    Unavailable,
    UnknownKind,
)

WARDEN = (
    "UPGRADE FAILED: server-side apply failed for object linkerd/linkerd-destination apps/v1, Kind=Deployment: "
    'admission webhook "warden-validating.common-webhooks.networking.gke.io" denied the request: GKE Warden rejected it'
)


@pytest.mark.parametrize(
    ("words", "kind", "reason"),
    [
        (
            "UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress",
            ReleasePending,
            "ReleasePending",
        ),
        (
            'ConfigMap "hc" in namespace "x" exists and cannot be imported: invalid ownership metadata',
            OwnedByOthers,
            "OwnedByOthers",
        ),
        ("release: not found", RevisionMissing, "RevisionMissing"),
        ("release has no 7 version", RevisionMissing, "RevisionMissing"),
        (WARDEN, AdmissionDenied, "AdmissionDenied"),
        (
            'Kind=Pod: pods "hcp" is forbidden: violates PodSecurity "restricted:latest"',
            AdmissionDenied,
            "AdmissionDenied",
        ),
        (
            'configmaps "x" is forbidden: unable to create new content in namespace x because it is being terminated',
            Unavailable,
            "NamespaceTerminating",
        ),
        (
            'query: failed to query with labels: secrets is forbidden: User "weak" cannot list resource "secrets"',
            IamNotReady,
            "IamNotReady",
        ),
        (
            'rolebindings is forbidden: User "x" may not: GKE Warden authz [denied by managed-namespaces-limitation]',
            AdmissionDenied,
            "ManagedByGke",
        ),
        (
            "kubernetes cluster unreachable: the server has asked for the client to provide credentials",
            Unauthorized,
            "Unauthorized",
        ),
        (
            'resource mapping not found for name: "h" namespace: "": no matches for kind "Pod" in version "foo/v1"',
            UnknownKind,
            "UnknownKind",
        ),
        (
            'looks like "http://127.0.0.1:9/" is not a valid chart repository or cannot be reached: connection refused',
            HelmFailed,
            "ChartUnavailable",
        ),
        (
            'kubernetes cluster unreachable: Get "https://127.0.0.1:1/version": dial tcp: connect: connection refused',
            Unavailable,
            "ApiServerUnavailable",
        ),
        ('create: failed to create: namespaces "nsnone" not found', Unavailable, "ApiServerUnavailable"),
        (
            'Internal error occurred: failed calling webhook "x": no endpoints available',
            Unavailable,
            "ApiServerUnavailable",
        ),
        ("execution error at (ch/templates/a.yaml:5:3): bad value", ChartInvalid, "ChartInvalid"),
        (
            "failed to create typed patch object (x/H_; /v1, Kind=ConfigMap): .spec: field not declared in schema",
            ChartInvalid,
            "ChartInvalid",
        ),
        ('path "/tmp/nochart" not found', ChartInvalid, "ChartInvalid"),
        ('chart "foo" matching 9.9.9 not found in x index', ChartInvalid, "ChartInvalid"),
        ("something that nobody has seen before", HelmFailed, "HelmFailed"),
    ],
)
def test_helms_words_are_sorted(words: str, kind: type[ByomeshError], reason: str) -> None:
    found = read_failure(f"Error: {words}\n", cluster="projects/p", tried="helm upgrade")
    assert type(found) is kind
    assert (found.reason, found.problem, found.cluster, found.tried) == (reason, words, "projects/p", "helm upgrade")
    assert found.remedy


def test_the_kinds_are_what_the_caller_must_do() -> None:
    assert issubclass(ReleasePending, Temporary)
    assert issubclass(HelmFailed, Temporary)
    assert issubclass(OwnedByOthers, Refused)
    assert issubclass(ChartInvalid, Permanent)


def test_only_helms_own_error_is_kept_of_its_log() -> None:
    stderr = 'level=WARN msg="upgrade failed" name=rel error="x"\nError: UPGRADE FAILED: x\n'
    assert readable(stderr) == "UPGRADE FAILED: x"
    assert readable("panic: runtime error\n") == "panic: runtime error"
    assert readable(" \n") == "Helm said nothing"


def test_a_signal_is_told() -> None:
    found = read_failure("", code=-9)
    assert (found.reason, found.problem) == ("HelmKilled", "Helm was ended by signal 9")
    assert isinstance(found, Temporary)


CONFLICT = "UPGRADE FAILED: conflict occurred while applying object linkerd/linkerd-config /v1, Kind=ConfigMap: "


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            'Apply failed with 1 conflict: conflict with "kubectl-patch" using v1: .data.values',
            (("kubectl-patch", ".data.values"),),
        ),
        (
            (
                'Apply failed with 3 conflicts: conflicts with "kubectl-patch" using v1:\n- .data.a\n- .data.b\n'
                'conflicts with "kubectl" with subresource "scale" using apps/v1:\n- .spec.replicas'
            ),
            (("kubectl-patch", ".data.a"), ("kubectl-patch", ".data.b"), ("kubectl", ".spec.replicas")),
        ),
        ('Apply failed with 1 conflict: conflicts with "one":\n- .data.a\n\nmore', (("one", ".data.a"),)),
    ],
)
def test_conflicts_are_read_from_helms_words(words: str, expected: tuple[tuple[str, str], ...]) -> None:
    found = read_failure(f"Error: {CONFLICT}{words}\n")
    assert isinstance(found, FieldConflict)
    assert found.managers == expected


def test_words_without_conflicts_have_none() -> None:
    assert conflicts('- conflict with "x": .y') == ()


PEM = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----\n"


def test_secrets_among_values_are_known_by_key_or_by_look() -> None:
    values = {
        "identity": {"issuer": {"tls": {"crtPEM": "public words", "keyPEM": "key material"}}},
        "list": [{"password": "hunter2hunter2"}, PEM],
        "apiKeys": {"one": "nested below", "two": ["in a list"]},
        "token": "short",
        "number": 7,
    }
    assert set(secrets_of(values)) == {"key material", "hunter2hunter2", PEM, "nested below", "in a list"}


def test_secrets_are_taken_out_of_helms_words() -> None:
    stderr = f"Error: execution error at (x): bad value abcdefgh-long and abcdefgh, {PEM} and -----BEGIN X-----\ncut"
    found = read_failure(stderr, secrets=["abcdefgh", "abcdefgh-long"])
    assert found.problem == "execution error at (x): bad value [secret] and [secret], [PEM]\n and [PEM]"


def test_a_kubeconfig_for_an_address_with_its_own_authority() -> None:
    data = kubeconfig(ControlPlaneAccess(endpoint="203.0.113.7", ca_pem="PEM"), "t0ken")
    config = yaml.safe_load(data)
    assert config == json.loads(data)
    cluster = config["clusters"][0]["cluster"]
    ca = base64.b64encode(b"PEM").decode()
    assert cluster == {"server": "https://203.0.113.7", "certificate-authority-data": ca}
    assert config["users"][0]["user"] == {"token": "t0ken"}


def test_a_kubeconfig_for_the_dns_endpoint_has_no_authority_of_its_own() -> None:
    config = json.loads(kubeconfig(ControlPlaneAccess(endpoint="gke-1.europe-west1.gke.goog"), "t"))
    assert config["clusters"][0]["cluster"] == {"server": "https://gke-1.europe-west1.gke.goog"}


def test_a_helm_without_a_way_to_a_cluster_installs_nothing() -> None:
    with pytest.raises(Permanent, match="without a way to a cluster"):
        Helm(Settings()).upgrade_install("a", Path("chart"), "b", {})


@pytest.fixture
def told(tmp_path: Path) -> tuple[Helm, Callable[[], list[str]]]:
    """A Helm that only notes how it was called."""
    program, access = tmp_path / "helm", tmp_path / "kubeconfig"
    program.write_text('#!/bin/sh\necho "$@" > "$(dirname "$0")/arguments"\n')
    program.chmod(0o755)
    settings = Settings(helm=str(program), helm_timeout=30)
    return Helm(settings, access), lambda: (tmp_path / "arguments").read_text().split()[:-2]


def test_how_a_release_is_removed(told: tuple[Helm, Callable[[], list[str]]]) -> None:
    helm, arguments = told
    helm.uninstall("a", namespace="b")
    expected = ["uninstall", "a", "--namespace", "b", "--ignore-not-found", "--timeout", "30s"]
    assert arguments() == expected
    helm.uninstall("a", namespace="b", keep_history=True)
    assert arguments() == [*expected, "--keep-history"]


def test_how_a_release_is_rolled_back(told: tuple[Helm, Callable[[], list[str]]]) -> None:
    helm, arguments = told
    helm.rollback("a", 3, namespace="b")
    expected = ["rollback", "a", "3", "--namespace", "b", "--server-side=true", "--timeout", "30s"]
    assert arguments() == expected
    helm.rollback("a", 3, namespace="b", force_conflicts=True)
    assert arguments() == [*expected, "--force-conflicts"]


def test_there_is_no_revision_before_the_first(told: tuple[Helm, Callable[[], list[str]]]) -> None:
    with pytest.raises(Permanent, match="0 is no revision of the release a"):
        told[0].rollback("a", 0, namespace="b")
