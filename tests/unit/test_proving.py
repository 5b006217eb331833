"""The admission proof: what the API server's answers to a dry run mean."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from shared.errors import Temporary
from shared.mesh.linkerd.proving import annotated_pod, proven, proving_namespace
from shared.mesh.observe import from_objects
from shared.mesh.snapshot import Admission, Admitted, LabelSelector, MeshSnapshot, Named, Requirement
from tests.unit.cluster_objects import State, objects
from tests.unit.memory_kube import Answer, MemoryKube, denial, refusal

_PODS = "/api/v1/namespaces/default/pods"
_PROXY = {"name": "linkerd-proxy"}
_FAILED = 'Internal error occurred: failed calling webhook "{}": failed to call webhook: Post "…": EOF'


def _snapshot(**changes: Any) -> MeshSnapshot:
    return msgspec.structs.replace(from_objects(objects()), **changes)


def _proof(*answers: Answer, snapshot: MeshSnapshot | None = None) -> tuple[Admission | None, MemoryKube, list[float]]:
    """The proof's end where the API server gives these answers one after the other, the last for good."""
    kube = MemoryKube()
    left = list(answers)
    slept: list[float] = []

    def next_answer(seconds: float) -> None:
        slept.append(seconds)
        kube.answers[("POST", _PODS)] = left.pop(0) if len(left) > 1 else left[0]

    next_answer(0)
    return proven(kube, snapshot or _snapshot(), sleep=next_answer).admission, kube, slept[1:]


def _pod(**spec: Any) -> Answer:
    return 201, {"metadata": {"name": "x"}, "spec": {"containers": [{"name": "pause"}], **spec}}


@pytest.mark.parametrize("spec", [{"initContainers": [{"name": "linkerd-init"}, _PROXY]}, {"containers": [_PROXY]}])
def test_a_pod_that_comes_back_with_a_proxy(spec: dict[str, Any]) -> None:
    found, kube, slept = _proof(_pod(**spec))
    assert found == Admission(Admitted.INJECTED, "default")
    assert (kube.requests, slept, kube.writes) == (1, [], [])


def test_a_pod_that_comes_back_as_it_was_is_tried_again() -> None:
    found, kube, slept = _proof(_pod())
    assert found == Admission(Admitted.PLAIN, "default")
    assert kube.requests == 3
    assert len(slept) == 2
    assert _proof(_pod(), _pod(initContainers=[_PROXY]))[0] == Admission(Admitted.INJECTED, "default")


@pytest.mark.parametrize(
    ("answer", "outcome", "words"),
    [
        (refusal(500, "InternalError", _FAILED.format("linkerd-proxy-injector.linkerd.io")), Admitted.UNCALLED, "EOF"),
        (refusal(500, "InternalError", _FAILED.format("other.example.com")), Admitted.DENIED, "other.example.com"),
        (
            denial('pods "x" is forbidden: error looking up service account default/default: not found'),
            Admitted.DENIED,
            "service account",
        ),
        (denial('pods "x" is forbidden: exceeded quota: pods'), Admitted.DENIED, "exceeded quota"),
        (denial('pods is forbidden: User "verify" cannot create resource "pods"'), Admitted.DENIED, "cannot create"),
        (
            refusal(400, "BadRequest", 'admission webhook "linkerd-proxy-injector.linkerd.io" denied the request: bad'),
            Admitted.REJECTED,
            "bad",
        ),
        (denial("GKE Warden rejected the request because it violates one"), Admitted.DENIED, "Warden"),
        (refusal(400, "BadRequest", 'admission webhook "x" does not support dry run'), Admitted.DENIED, "dry run"),
        (refusal(404, "NotFound", 'namespaces "default" not found'), Admitted.DENIED, "not found"),
    ],
)
def test_what_a_refusal_says_of_the_injector(answer: Answer, outcome: Admitted, words: str) -> None:
    found, _, _ = _proof(answer)
    assert found is not None
    assert (found.outcome, found.namespace) == (outcome, "default")
    assert words in found.words


def test_an_api_server_that_cannot_answer_is_a_passing_fault() -> None:
    with pytest.raises(Temporary):
        _proof(refusal(503, "ServiceUnavailable", "apiserver not ready"))


@pytest.mark.parametrize(
    "snapshot",
    [
        from_objects([]),
        from_objects(objects(State(unready={"proxy-injector": ("proxy-injector",)}))),
        from_objects(objects(State(without=("MutatingWebhookConfiguration/linkerd-proxy-injector-webhook-config",)))),
        _snapshot(namespaces=(Named("linkerd"),)),
    ],
)
def test_nothing_is_tried_where_nothing_could_be_proven(snapshot: MeshSnapshot) -> None:
    found, kube, _ = _proof(_pod(), snapshot=snapshot)
    assert found is None
    assert kube.requests == 0


def _excluding(*names: str) -> MeshSnapshot:
    found = _snapshot(namespaces=(Named("default"), Named("shop"), Named("linkerd")))
    selector = LabelSelector(match_expressions=(Requirement("kubernetes.io/metadata.name", "NotIn", names),))
    webhook = msgspec.structs.replace(found.mutating_webhooks[0], namespace_selectors=(selector,))
    return msgspec.structs.replace(found, mutating_webhooks=(webhook,))


@pytest.mark.parametrize(
    ("snapshot", "namespace"),
    [
        (_excluding(), "default"),
        (_excluding("default"), "shop"),
        (_excluding("default", "shop"), ""),
        (_snapshot(namespaces=(Named("default", annotations={"linkerd.io/inject": "odd"}), Named("shop"))), "shop"),
    ],
)
def test_the_pod_is_tried_where_the_injector_looks(snapshot: MeshSnapshot, namespace: str) -> None:
    assert proving_namespace(snapshot) == namespace


def test_the_pod_asks_for_a_proxy_and_its_own_requests() -> None:
    pod = annotated_pod("shop")
    assert pod["metadata"]["annotations"] == {"linkerd.io/inject": "enabled"}
    assert pod["metadata"]["namespace"] == "shop"
    (container,) = pod["spec"]["containers"]
    assert container["resources"]["requests"] == container["resources"]["limits"]
