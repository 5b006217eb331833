"""google.cloud.security.privateca.v1.CertificateAuthorityService as far as it is used: a pool's CAs, in memory.

States and what they allow are the real service's
(https://cloud.google.com/certificate-authority-service/docs/reference/rpc/google.cloud.security.privateca.v1). Every
operation is done when it is answered.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from google.cloud.security import privateca_v1 as v1
from google.longrunning import operations_pb2  # type: ignore[import-untyped]

from byomesh.local.rpc import Call, Caller, Faults, Handler, Method, RpcFailure, service

SERVICE = "google.cloud.security.privateca.v1.CertificateAuthorityService"
ROOT_SECONDS = 10 * 365 * 86_400
State: Any = v1.CertificateAuthority.State
_POOL = re.compile(r"projects/[a-z0-9.:-]+/locations/[a-z0-9-]+/caPools/[A-Za-z0-9_-]{1,63}")
_ID = re.compile(r"[A-Za-z0-9_-]{1,63}")
_UNUSED = (
    *("content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "encipher_only", "decipher_only"),
)
_TRUSTED = (State.ENABLED, State.DISABLED, State.STAGED)


@dataclasses.dataclass(slots=True)
class _Authority:
    proto: v1.CertificateAuthority
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclasses.dataclass(slots=True)
class _Pool:
    authorities: dict[str, _Authority] = dataclasses.field(default_factory=dict)
    certificates: dict[str, v1.Certificate] = dataclasses.field(default_factory=dict)
    answered: dict[str, v1.Certificate] = dataclasses.field(default_factory=dict)


class PrivateCa:
    """All pools of the local cloud."""

    def __init__(self, *, clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)) -> None:
        self._pools: dict[str, _Pool] = {}
        self._clock = clock

    def describe(self) -> dict[str, dict[str, str]]:
        """States of the CAs, by pool and id; no key."""
        return {
            name: {short: State(one.proto.state).name for short, one in pool.authorities.items()}
            for name, pool in self._pools.items()
        }

    def create_pool(self, name: str, first: str) -> None:
        """A pool with one enabled root, as Terraform would make it."""
        if _POOL.fullmatch(name) is None:
            raise ValueError(f"{name!r} is no pool's name")
        self._pools[name] = _Pool()
        subject = v1.Subject(common_name="root.linkerd.cluster.local", organization="byomesh")
        config = v1.CertificateConfig(subject_config=v1.CertificateConfig.SubjectConfig(subject=subject))
        wished = v1.CertificateAuthority(config=config, lifetime=dt.timedelta(seconds=ROOT_SECONDS))
        self._make(name, first, wished).proto.state = State.ENABLED

    def fetch(self, request: v1.FetchCaCertsRequest) -> v1.FetchCaCertsResponse:
        """The chains of all CAs that are staged, enabled or disabled."""
        trusted = [one for one in self._pool(request.ca_pool).authorities.values() if one.proto.state in _TRUSTED]
        chains = [
            v1.FetchCaCertsResponse.CertChain(certificates=list(one.proto.pem_ca_certificates)) for one in trusted
        ]
        return v1.FetchCaCertsResponse(ca_certs=chains)

    def list(self, request: v1.ListCertificateAuthoritiesRequest) -> v1.ListCertificateAuthoritiesResponse:
        """All CAs of a pool, deleted ones too, on one page."""
        found = [one.proto for one in self._pool(request.parent).authorities.values()]
        return v1.ListCertificateAuthoritiesResponse(certificate_authorities=found)

    def get_authority(self, request: v1.GetCertificateAuthorityRequest) -> v1.CertificateAuthority:
        """One CA; NOT_FOUND."""
        return self._authority(request.name).proto

    def create_authority(self, request: v1.CreateCertificateAuthorityRequest) -> Any:
        """A new self-signed CA, STAGED; ALREADY_EXISTS."""
        pool, identifier = self._pool(request.parent), request.certificate_authority_id
        if _ID.fullmatch(identifier) is None:
            raise _invalid(f"Invalid certificate_authority_id {identifier!r}.")
        if identifier in pool.authorities:
            raise _exists(f"{request.parent}/certificateAuthorities/{identifier}")
        return _done(self._make(request.parent, identifier, request.certificate_authority).proto)

    def enable(self, request: v1.EnableCertificateAuthorityRequest) -> Any:
        """STAGED or DISABLED becomes ENABLED."""
        return self._turn(request.name, (State.STAGED, State.DISABLED), State.ENABLED)

    def disable(self, request: v1.DisableCertificateAuthorityRequest) -> Any:
        """ENABLED or STAGED becomes DISABLED."""
        return self._turn(request.name, (State.ENABLED, State.STAGED), State.DISABLED)

    def delete(self, request: v1.DeleteCertificateAuthorityRequest) -> Any:
        """DISABLED or STAGED becomes DELETED; with certificates that live on only where the request says so."""
        name = request.name
        pool = self._pool(name.partition("/certificateAuthorities/")[0])
        issued = [one for one in pool.certificates.values() if one.issuer_certificate_authority == name]
        if issued and not request.ignore_active_certificates:
            raise _precondition(f"Certificate Authority {name} has {len(issued)} active certificates.")
        return self._turn(name, (State.DISABLED, State.STAGED), State.DELETED)

    def create_certificate(self, request: v1.CreateCertificateRequest) -> v1.Certificate:
        """A certificate by the CA that is named, or by an enabled one; the same for the same request id."""
        pool = self._pool(request.parent)
        if request.request_id and request.request_id in pool.answered:
            return pool.answered[request.request_id]
        if _ID.fullmatch(request.certificate_id) is None:
            raise _invalid("certificate_id is required by the ENTERPRISE tier and must match [a-zA-Z0-9_-]{1,63}.")
        name = f"{request.parent}/certificates/{request.certificate_id}"
        if name in pool.certificates:
            raise _exists(name)
        made = self._sign(name, self._issuing(pool, request), request.certificate)
        pool.certificates[name] = made
        if request.request_id:
            pool.answered[request.request_id] = made
        return made

    def get_certificate(self, request: v1.GetCertificateRequest) -> v1.Certificate:
        """One certificate; NOT_FOUND."""
        found = self._pool(request.name.partition("/certificates/")[0]).certificates.get(request.name)
        if found is None:
            raise _missing(request.name)
        return found

    def _issuing(self, pool: _Pool, request: v1.CreateCertificateRequest) -> _Authority:
        named = request.issuing_certificate_authority_id
        if named:
            found = self._authority(f"{request.parent}/certificateAuthorities/{named}")
            if found.proto.state not in (State.ENABLED, State.STAGED):
                raise _precondition(f"Certificate Authority {found.proto.name} is {State(found.proto.state).name}.")
            return found
        enabled = [one for one in pool.authorities.values() if one.proto.state == State.ENABLED]
        if not enabled:
            raise _precondition(f"There are no enabled CAs in the CaPool {request.parent}.")
        return enabled[0]

    def _sign(self, name: str, authority: _Authority, wished: v1.Certificate) -> v1.Certificate:
        config = wished.config
        key = serialization.load_pem_public_key(config.public_key.key)
        now = self._clock()
        lifetime: Any = wished.lifetime
        until = min(now + lifetime, authority.certificate.not_valid_after_utc)
        options = config.x509_config.ca_options
        length = options.max_issuer_path_length if "max_issuer_path_length" in options else None
        builder = _builder(_name(config.subject_config.subject), key, now, until, ca=options.is_ca, length=length)
        certificate = builder.issuer_name(authority.certificate.subject).sign(authority.key, hashes.SHA256())
        made = v1.Certificate(wished)
        moment: Any = now
        made.name, made.create_time, made.pem_certificate = name, moment, _pem(certificate)
        made.issuer_certificate_authority = authority.proto.name
        made.pem_certificate_chain = list(authority.proto.pem_ca_certificates)
        return made

    def _make(self, pool: str, identifier: str, wished: v1.CertificateAuthority) -> _Authority:
        key, now = ec.generate_private_key(ec.SECP256R1()), self._clock()
        subject = _name(wished.config.subject_config.subject)
        lifetime: Any = wished.lifetime
        builder = _builder(subject, key.public_key(), now, now + lifetime, ca=True, length=None)
        certificate = builder.issuer_name(subject).sign(key, hashes.SHA256())
        proto = v1.CertificateAuthority(wished)
        moment: Any = now
        proto.name, proto.create_time = f"{pool}/certificateAuthorities/{identifier}", moment
        proto.state, proto.pem_ca_certificates = State.STAGED, [_pem(certificate)]
        made = _Authority(proto, certificate, key)
        self._pools[pool].authorities[identifier] = made
        return made

    def _turn(self, name: str, before: tuple[Any, ...], after: Any) -> Any:
        proto = self._authority(name).proto
        if proto.state not in before:
            raise _precondition(f"Certificate Authority {name} is {State(proto.state).name}.")
        proto.state = after
        return _done(proto)

    def _pool(self, name: str) -> _Pool:
        found = self._pools.get(name)
        if found is None:
            raise _missing(name)
        return found

    def _authority(self, name: str) -> _Authority:
        pool, _, identifier = name.partition("/certificateAuthorities/")
        found = self._pool(pool).authorities.get(identifier)
        if found is None:
            raise _missing(name)
        return found


def handler(authorities: PrivateCa, *, caller: Caller, faults: Faults) -> Handler:
    """The service, for `byomesh.local.rpc.serve`."""

    def method(request: Any, response: Any, act: Callable[[Any], Any]) -> Method:
        async def answer(message: Any, _call: Call) -> Any:
            return act(message)

        return Method(request, response, answer)

    operation = operations_pb2.Operation
    methods = {
        "FetchCaCerts": method(v1.FetchCaCertsRequest, v1.FetchCaCertsResponse, authorities.fetch),
        "ListCertificateAuthorities": method(
            v1.ListCertificateAuthoritiesRequest, v1.ListCertificateAuthoritiesResponse, authorities.list
        ),
        "GetCertificateAuthority": method(
            v1.GetCertificateAuthorityRequest, v1.CertificateAuthority, authorities.get_authority
        ),
        "CreateCertificateAuthority": method(
            v1.CreateCertificateAuthorityRequest, operation, authorities.create_authority
        ),
        "EnableCertificateAuthority": method(v1.EnableCertificateAuthorityRequest, operation, authorities.enable),
        "DisableCertificateAuthority": method(v1.DisableCertificateAuthorityRequest, operation, authorities.disable),
        "DeleteCertificateAuthority": method(v1.DeleteCertificateAuthorityRequest, operation, authorities.delete),
        "CreateCertificate": method(v1.CreateCertificateRequest, v1.Certificate, authorities.create_certificate),
        "GetCertificate": method(v1.GetCertificateRequest, v1.Certificate, authorities.get_certificate),
    }
    return service(SERVICE, methods, caller=caller, faults=faults)


def _builder(
    subject: x509.Name, key: Any, now: dt.datetime, until: dt.datetime, *, ca: bool, length: int | None
) -> x509.CertificateBuilder:
    usage = dict.fromkeys(_UNUSED, False)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=length), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, **usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(subject: v1.Subject) -> x509.Name:
    parts = [(NameOID.ORGANIZATION_NAME, subject.organization), (NameOID.COMMON_NAME, subject.common_name)]
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in parts if text])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _done(proto: v1.CertificateAuthority) -> Any:
    operation = operations_pb2.Operation(name=f"{proto.name}/operations/done", done=True)
    operation.response.Pack(v1.CertificateAuthority.pb(proto))
    return operation


def _missing(name: str) -> RpcFailure:
    return RpcFailure(grpc.StatusCode.NOT_FOUND, f"Resource '{name}' was not found")


def _exists(name: str) -> RpcFailure:
    return RpcFailure(grpc.StatusCode.ALREADY_EXISTS, f"Resource '{name}' already exists")


def _precondition(text: str) -> RpcFailure:
    return RpcFailure(grpc.StatusCode.FAILED_PRECONDITION, text)


def _invalid(text: str) -> RpcFailure:
    return RpcFailure(grpc.StatusCode.INVALID_ARGUMENT, text)
