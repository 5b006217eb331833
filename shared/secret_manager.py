"""The only door to Secret Manager (google-cloud-secret-manager).

A secret's truth is its lowest enabled version. So the first payload can be created without a lock: every maker adds a
version, looks for a lower one, and destroys its own where there is one. Numbers rise from 1 and are never used again,
and access by number is what Secret Manager documents as consistent at once; its listings may lag.
"""

from __future__ import annotations

import dataclasses
import functools

from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud import secretmanager_v1

from shared import google_errors
from shared.config import Settings, settings
from shared.errors import ByomeshError, Permanent, Temporary

_TIMEOUT = 10.0


@dataclasses.dataclass(frozen=True, slots=True)
class SecretVersion:
    """One version of a secret.

    Attributes:
        name: `projects/P/secrets/S/versions/N`.
        payload: the secret itself; not in the repr, so that no log or traceback has it.
    """

    name: str
    payload: bytes = dataclasses.field(repr=False)

    @property
    def number(self) -> int:
        """The version's number, from 1."""
        return _number(self.name)


def _number(name: str) -> int:
    return int(name.rpartition("/")[2])


class Secrets:
    """Secret Manager at the settings' endpoint; one client, made once and used by every call."""

    def __init__(self, config: Settings, client: secretmanager_v1.SecretManagerServiceClient | None = None) -> None:
        with google_errors.translated(tried="to make a client of Secret Manager"):
            self._client = client or secretmanager_v1.SecretManagerServiceClient(
                client_options={"api_endpoint": config.secret_manager_endpoint}
            )

    def read(self, secret: str) -> SecretVersion | None:
        """The secret's lowest enabled version; None where it has none (yet).

        Args:
            secret: full resource name, `projects/P/secrets/S`.

        Raises:
            Permanent: there is no such secret.
            Temporary: the API can't answer, or IAM doesn't allow it (yet).
        """
        names = [f"{secret}/versions/{number}" for number in sorted(self._enabled(secret))]
        return next((found for name in names if (found := self._access(name)) is not None), None)

    def create_first(self, secret: str, payload: bytes) -> SecretVersion:
        """Give a secret its first payload, unless somebody else has meanwhile; all makers end with the same version.

        Args:
            secret: full resource name, `projects/P/secrets/S`.
            payload: what to store, at most 64 KiB.

        Returns:
            The version that holds: this one, or another maker's lower one, in which case this one is destroyed.

        Raises:
            Permanent: there is no such secret.
            Temporary: the API can't answer, or IAM doesn't allow it (yet).
        """
        mine = self._add(secret, payload)
        for number in range(1, mine.number):
            earlier = self._access(f"{secret}/versions/{number}")
            if earlier is not None:
                self._destroy(mine.name)
                return earlier
        return mine

    def replace(self, secret: str, current: SecretVersion, payload: bytes) -> SecretVersion:
        """Put a payload in the place of the version that holds, which is disabled and can be enabled again by hand.

        The new version is added first and holds once the old one is disabled, so that cut off anywhere, one of them
        holds. What an earlier replacement left behind when it was cut off is disabled before.

        Args:
            secret: full resource name, `projects/P/secrets/S`.
            current: what `read` gave.
            payload: what to store, at most 64 KiB.

        Raises:
            Permanent: there is no such secret.
            Temporary: the API can't answer, or another replacement came in between.
        """
        enabled = self._enabled(secret)
        if min(enabled, default=0) != current.number:
            raise _overtaken(secret)
        for number in sorted(enabled.keys() - {current.number}):
            self._disable(f"{secret}/versions/{number}", enabled[number])
        mine = self._add(secret, payload)
        self._disable(current.name, enabled[current.number])
        return mine

    def _add(self, secret: str, payload: bytes) -> SecretVersion:
        try:
            added = self._client.add_secret_version(
                parent=secret, payload=secretmanager_v1.SecretPayload(data=payload), timeout=_TIMEOUT
            )
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            raise _translate(error, secret, "to add a version", "secretmanager.versions.add") from error
        return SecretVersion(f"{secret}/versions/{_number(added.name)}", payload)

    def _enabled(self, secret: str) -> dict[int, str]:
        """Etags of the enabled versions by number."""
        try:
            request = {"parent": secret, "filter": "state:ENABLED"}
            listed = self._client.list_secret_versions(request=request, timeout=_TIMEOUT)
            # The answer's names have the project's number; ours keep its id.
            return {_number(version.name): version.etag for version in listed}
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            raise _translate(error, secret, "to list its versions", "secretmanager.versions.list") from error

    def _disable(self, name: str, etag: str) -> None:
        secret = name.partition("/versions/")[0]
        try:
            request = {"name": name, "etag": etag}
            self._client.disable_secret_version(request=request, timeout=_TIMEOUT)
        except (exceptions.FailedPrecondition, exceptions.Aborted) as error:
            raise _overtaken(secret) from error
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            raise _translate(error, secret, "to disable a version", "secretmanager.versions.disable") from error

    def _access(self, name: str) -> SecretVersion | None:
        """A version's payload; None where it is disabled, destroyed or unknown."""
        try:
            answer = self._client.access_secret_version(name=name, timeout=_TIMEOUT)
        except (exceptions.FailedPrecondition, exceptions.NotFound):
            return None
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            secret = name.partition("/versions/")[0]
            raise _translate(error, secret, "to read a version", "secretmanager.versions.access") from error
        return SecretVersion(name, answer.payload.data)

    def _destroy(self, name: str) -> None:
        try:
            self._client.destroy_secret_version(name=name, timeout=_TIMEOUT)
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            secret = name.partition("/versions/")[0]
            raise _translate(error, secret, "to destroy its own version", "secretmanager.versions.destroy") from error


@functools.cache
def secrets() -> Secrets:
    """This process's door, made with its settings at the first call."""
    return Secrets(settings())


def _overtaken(secret: str) -> Temporary:
    return Temporary(
        "SecretChanged",
        f"somebody else replaced the payload of {secret} meanwhile",
        tried="to replace it",
        remedy="look at what is there now, and run again",
    )


def _translate(error: exceptions.GoogleAPIError | GoogleAuthError, secret: str, what: str, needs: str) -> ByomeshError:
    tried = f"{what} ({secret})"
    if not isinstance(error, exceptions.NotFound):
        return google_errors.translate(error, tried=tried, needs=needs)
    project, _, name = secret.removeprefix("projects/").partition("/secrets/")
    return Permanent(
        "SecretMissing",
        f"there is no secret {secret}",
        tried=tried,
        remedy=(
            f"terraform apply, or gcloud secrets create {name} --project {project} --replication-policy automatic; "
            "or correct BYOMESH_TRUST_ANCHOR_SECRET"
        ),
    )
