"""A list's pages, whichever way round an API server, or what stands before it, writes them."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from shared.kube import Kube

_FIRST = b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7","continue":"abc"},"items":[{"a":1}]}'
_SPACED = b'{"kind": "PodList", "metadata": {"continue": "abc"}, "items": [{"a": 1}]}'
_LAST_PLACE = b'{"items":[{"a":1}],"metadata":{"continue":"abc"}}'
_INNER = b'{"kind":"List","items":[{"metadata":{"continue":"no"},"items":[1]}],"metadata":{"continue":"abc"}}'
_END = b'{"kind":"PodList","metadata":{},"items":[{"metadata":{"continue":"no"}}]}'


class _Paging(Kube):
    def __init__(self, page: bytes) -> None:
        self._cluster = ""
        self._lock = threading.Lock()
        self.requests = 0
        self._page = page
        self.asked: list[Mapping[str, str]] = []

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        content_type: str = "",
    ) -> tuple[int, bytes]:
        assert (method, path, body, content_type) == ("GET", "/api/v1/pods", None, "")
        self.asked.append(query or {})
        return 200, self._page if len(self.asked) == 1 else _END


@pytest.mark.parametrize("page", [_FIRST, _SPACED, _LAST_PLACE, _INNER])
def test_the_next_page_is_asked_for_with_the_token_of_the_one_before(page: bytes) -> None:
    kube = _Paging(page)
    assert list(kube.list_raw("/api/v1/pods")) == [page, _END]
    assert [one.get("continue") for one in kube.asked] == [None, "abc"]


def test_a_page_without_a_token_is_the_last() -> None:
    assert list(_Paging(_END).list_raw("/api/v1/pods")) == [_END]
