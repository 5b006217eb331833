"""The only door to Certificate Authority Service (google-cloud-private-ca): a pool of CAs that vouches for the fleet.

A CA of the pool is trusted while it is STAGED, ENABLED or DISABLED, and signs on request while it is STAGED or ENABLED
(google.cloud.security.privateca.v1, CertificateAuthority.State). So rotation is the pool's own: a new CA is staged,
then enabled, and the old one disabled and deleted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import functools
import hashlib
import uuid
from collections.abc import Iterator
from typing import Any, cast

from google.api_core import exceptions, retry
from google.auth.exceptions import GoogleAuthError
from google.cloud.security import privateca_v1 as v1

from shared import google_errors
from shared.config import Settings, settings
from shared.errors import ByomeshError, Permanent

_TIMEOUT = 20.0
_OPERATION_TIMEOUT = 120.0
_RETRY = retry.Retry(
    predicate=retry.if_exception_type(exceptions.ServiceUnavailable, exceptions.DeadlineExceeded, exceptions.Aborted),
    initial=0.2,
    maximum=2.0,
    timeout=_TIMEOUT,
)
State = v1.CertificateAuthority.State


@dataclasses.dataclass(frozen=True, slots=True)
class Authority:
    """A CA of the pool.

    Attributes:
        name: `projects/P/locations/L/caPools/C/certificateAuthorities/A`.
        state: such as `ENABLED`, `STAGED` or `DISABLED`.
        certificate_pem: its own certificate; the rest of its chain is left out.
        created: when it was made.
    """

    name: str
    state: str
    certificate_pem: str
    created: dt.datetime

    @property
    def id(self) -> str:
        """The last part of its name."""
        return self.name.rpartition("/")[2]


class PrivateCa:
    """Certificate Authority Service at the settings' endpoint; one client, made once and used by every call."""

    def __init__(self, config: Settings, client: v1.CertificateAuthorityServiceClient | None = None) -> None:
        with google_errors.translated(tried="to make a client of Certificate Authority Service"):
            self._client = client or v1.CertificateAuthorityServiceClient(
                client_options={"api_endpoint": config.private_ca_endpoint}
            )

    def trusted(self, pool: str) -> tuple[str, ...]:
        """PEM of the CAs that the pool vouches for, each without its chain, in no order.

        Args:
            pool: full resource name, `projects/P/locations/L/caPools/C`.

        Raises:
            Permanent: there is no such pool.
            Temporary: the API can't answer, or IAM doesn't allow it (yet).
        """
        with _translated(pool, "to fetch its CAs' certificates", "privateca.caPools.get"):
            request = v1.FetchCaCertsRequest(ca_pool=pool)
            found = self._client.fetch_ca_certs(request=request, retry=_RETRY, timeout=_TIMEOUT)
        return tuple(_pem(chain.certificates[0]) for chain in found.ca_certs if chain.certificates)

    def authorities(self, pool: str) -> tuple[Authority, ...]:
        """The pool's CAs, the oldest first; raises as `trusted` does."""
        with _translated(pool, "to list its CAs", "privateca.certificateAuthorities.list"):
            request = v1.ListCertificateAuthoritiesRequest(parent=pool)
            listed = list(self._client.list_certificate_authorities(request=request, retry=_RETRY, timeout=_TIMEOUT))
        found = [_authority(pool, one) for one in listed if one.pem_ca_certificates]
        return tuple(sorted(found, key=lambda one: (one.created, one.name)))

    def issue(self, authority: str, public_key_pem: str, common_name: str, lifetime: dt.timedelta) -> str:
        """PEM of an intermediate CA, path length 0, signed by one CA of a pool.

        A call that is repeated, because its answer got lost, makes no second certificate: id and request id come from
        the key.

        Args:
            authority: the CA's full resource name.
            public_key_pem: the public half of the new CA's key.
            common_name: its subject.
            lifetime: what is asked for; the service cuts it to the life of its own CA.

        Raises:
            Permanent: the CA doesn't exist, or the pool's policy doesn't allow such a certificate.
            Temporary: the API can't answer, or IAM doesn't allow it (yet).
        """
        pool, _, identifier = authority.partition("/certificateAuthorities/")
        digest = hashlib.sha256(f"{authority} {public_key_pem}".encode()).hexdigest()
        certificate_id = f"linkerd-issuer-{digest[:40]}"
        request = v1.CreateCertificateRequest(
            parent=pool,
            certificate_id=certificate_id,
            certificate=_certificate(public_key_pem, common_name, lifetime),
            request_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{pool}/certificates/{certificate_id}")),
            issuing_certificate_authority_id=identifier,
        )
        with _translated(pool, "to issue a certificate", "privateca.certificates.create"):
            try:
                made = self._client.create_certificate(request=request, retry=_RETRY, timeout=_TIMEOUT)
            except exceptions.AlreadyExists:
                name = f"{pool}/certificates/{certificate_id}"
                made = self._client.get_certificate(name=name, retry=_RETRY, timeout=_TIMEOUT)
        return _pem(made.pem_certificate)

    def stage(self, pool: str, like: Authority, identifier: str, lifetime: dt.timedelta) -> None:
        """Make a self-signed CA of the same kind as another, STAGED: trusted, and not signing unless it is named.

        One that is there already is left as it is; raises as `issue` does.
        """
        with _translated(pool, "to make a CA", "privateca.certificateAuthorities.create"):
            there = self._client.get_certificate_authority(name=like.name, retry=_RETRY, timeout=_TIMEOUT)
            wished = v1.CertificateAuthority(
                type_=v1.CertificateAuthority.Type.SELF_SIGNED,
                config=v1.CertificateConfig(
                    subject_config=there.config.subject_config, x509_config=there.config.x509_config
                ),
                lifetime=lifetime,
                key_spec=v1.CertificateAuthority.KeyVersionSpec(
                    algorithm=v1.CertificateAuthority.SignHashAlgorithm.EC_P256_SHA256
                ),
            )
            request = v1.CreateCertificateAuthorityRequest(
                parent=pool, certificate_authority_id=identifier, certificate_authority=wished
            )
            try:
                operation = self._client.create_certificate_authority(request=request, timeout=_TIMEOUT)
                _finish(operation)
            except exceptions.AlreadyExists:
                return

    def enable(self, authority: str) -> None:
        """Let a CA sign without being named; raises as `issue` does."""
        pool = authority.partition("/certificateAuthorities/")[0]
        with _translated(pool, "to enable a CA", "privateca.certificateAuthorities.update"):
            request = v1.EnableCertificateAuthorityRequest(name=authority)
            operation = self._client.enable_certificate_authority(request=request, timeout=_TIMEOUT)
            _finish(operation)

    def disable(self, authority: str) -> None:
        """Let a CA sign no more; it stays trusted; raises as `issue` does."""
        pool = authority.partition("/certificateAuthorities/")[0]
        with _translated(pool, "to disable a CA", "privateca.certificateAuthorities.update"):
            request = v1.DisableCertificateAuthorityRequest(name=authority)
            operation = self._client.disable_certificate_authority(request=request, timeout=_TIMEOUT)
            _finish(operation)

    def delete(self, authority: str) -> None:
        """Take a disabled CA out of the pool's trust; it can be undeleted for 30 days; raises as `issue` does."""
        pool = authority.partition("/certificateAuthorities/")[0]
        with _translated(pool, "to delete a CA", "privateca.certificateAuthorities.delete"):
            request = v1.DeleteCertificateAuthorityRequest(name=authority, ignore_active_certificates=True)
            operation = self._client.delete_certificate_authority(request=request, timeout=_TIMEOUT)
            _finish(operation)


@contextlib.contextmanager
def _translated(pool: str, what: str, needs: str) -> Iterator[None]:
    """Let a block raise only this package's errors."""
    try:
        yield
    except (exceptions.GoogleAPIError, GoogleAuthError) as error:
        raise _translate(error, pool, what, needs) from error


def _finish(operation: Any) -> None:
    operation.result(timeout=_OPERATION_TIMEOUT)


def _certificate(public_key_pem: str, common_name: str, lifetime: dt.timedelta) -> v1.Certificate:
    usage = v1.KeyUsage(base_key_usage=v1.KeyUsage.KeyUsageOptions(cert_sign=True, crl_sign=True))
    options = v1.X509Parameters.CaOptions(is_ca=True, max_issuer_path_length=0)
    subject = v1.CertificateConfig.SubjectConfig(subject=v1.Subject(common_name=common_name))
    key = v1.PublicKey(key=public_key_pem.encode(), format_=v1.PublicKey.KeyFormat.PEM)
    config = v1.CertificateConfig(
        subject_config=subject,
        x509_config=v1.X509Parameters(key_usage=usage, ca_options=options),
        public_key=key,
    )
    return v1.Certificate(config=config, lifetime=lifetime)


def _authority(pool: str, found: v1.CertificateAuthority) -> Authority:
    # The answer's names have the project's number; ours keep its id.
    name = f"{pool}/certificateAuthorities/{found.name.rpartition('/')[2]}"
    # proto-plus gives a datetime for a Timestamp (DatetimeWithNanoseconds).
    created = cast("dt.datetime", found.create_time)
    return Authority(name, State(found.state).name, _pem(found.pem_ca_certificates[0]), created)


def _pem(text: str) -> str:
    return text.strip() + "\n"


@functools.cache
def private_ca() -> PrivateCa:
    """This process's door, made with its settings at the first call."""
    return PrivateCa(settings())


def _translate(error: exceptions.GoogleAPIError | GoogleAuthError, pool: str, what: str, needs: str) -> ByomeshError:
    tried = f"{what} ({pool})"
    if not isinstance(error, exceptions.NotFound):
        return google_errors.translate(error, tried=tried, needs=needs)
    return Permanent(
        "CaPoolMissing",
        f"there is no pool {pool}, or no such CA in it",
        tried=tried,
        remedy="terraform apply, or see gcloud privateca pools list; or correct BYOMESH_CA_POOL",
    )
