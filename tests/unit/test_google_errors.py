# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import pytest
from google.api_core import exceptions
from google.auth.exceptions import RefreshError

from shared import google_errors
from shared.errors import ByomeshError, Permanent, Refused, Temporary


@pytest.mark.parametrize(
    ("error", "kind", "reason", "problem"),
    [
        (RefreshError("no metadata"), Temporary, "CredentialsUnavailable", "RefreshError: no metadata"),
        (
            exceptions.RetryError("gave up", None),
            Temporary,
            "ApiUnavailable",
            "RetryError: gave up, last exception: None",
        ),
        (exceptions.Forbidden("no"), Temporary, "IamNotReady", "403: no"),
        (exceptions.BadRequest("what"), Permanent, "ApiRejected", "400: what"),
        (exceptions.DataLoss("lost"), Temporary, "ApiUnavailable", "DATA_LOSS: lost"),
    ],
)
def test_errors_are_sorted(error: Exception, kind: type[ByomeshError], reason: str, problem: str) -> None:
    with pytest.raises(kind) as raised, google_errors.translated(tried="t", cluster="c", needs="a.permission"):
        raise error
    found = raised.value
    assert (found.reason, found.problem, found.cluster, found.tried) == (reason, problem, "c", "t")
    assert found.__cause__ is error
    assert ("a.permission" in found.remedy) is (reason == "IamNotReady")


def test_an_organisation_policy_refuses_any_call() -> None:
    error = exceptions.Forbidden("Constraint constraints/gcp.restrictServiceUsage violated")
    found = google_errors.translate(error, tried="t", cluster="c")
    assert isinstance(found, Refused)
    assert "constraints/gcp.restrictServiceUsage" in found.remedy


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), google_errors.translated(tried="t"):
        raise KeyError
