"""The door to Certificate Authority Service, against the local server over TLS: a real client, real certificates."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from google.cloud.security import privateca_v1 as v1
from google.cloud.security.privateca_v1.services.certificate_authority_service.transports import (
    CertificateAuthorityServiceGrpcTransport,
)

from byomesh.local import private_ca as local
from byomesh.local.rpc import Faults
from shared.config import Settings
from shared.errors import Permanent, Temporary
from shared.mesh.linkerd.certificates import (
    RotationStep,
    certificate_of,
    certificates_of,
    check_pair,
    new_issuer_request,
    public_key_of,
)
from shared.mesh.pool import PoolStore
from shared.private_ca import PrivateCa
from tests.contract.google_cloud import cloud

POOL = "projects/shop-prod/locations/europe-west1/caPools/mesh"
CLUSTER = "projects/shop-prod/locations/europe-west1/clusters/eu-1"
YEAR = dt.timedelta(days=365)


class Pool:
    """A pool behind TLS, and the door to it."""

    def __init__(self) -> None:
        self.server = local.PrivateCa()
        self.server.create_pool(POOL, "first")
        self.faults = Faults()
        self.door: Any = None

    async def call(self, act: Callable[..., Any], *arguments: Any) -> Any:
        """Call the door in a thread: the server shares this one with the test."""
        return await asyncio.to_thread(act, *arguments)

    def store(self) -> PoolStore:
        return PoolStore(POOL, self.door)

    @property
    def states(self) -> dict[str, str]:
        return self.server.describe()[POOL]

    @property
    def certificates(self) -> int:
        return len(self.server._pools[POOL].certificates)


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[Pool]:
    made = Pool()
    async with cloud(
        tmp_path, lambda identity: [local.handler(made.server, caller=identity.caller, faults=made.faults)]
    ) as running:
        client = running.client(v1.CertificateAuthorityServiceClient, CertificateAuthorityServiceGrpcTransport)
        made.door = PrivateCa(Settings(), client)
        yield made
        client.transport.close()


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def extension(certificate: x509.Certificate, kind: Any) -> Any:
    return certificate.extensions.get_extension_for_class(kind).value


async def test_the_issuer_of_a_cluster_is_an_intermediate_of_the_pools_ca(pool: Pool) -> None:
    store = pool.store()
    fleet = await pool.call(store.trust, now())
    assert fleet.signers == (fleet.trust_anchors,)
    issued = await pool.call(store.issue, CLUSTER, fleet.signers[0], now())
    check_pair(issued.certificate_pem, issued.private_key_pem, "it")
    certificate = certificate_of(issued.certificate_pem, "it")
    certificate.verify_directly_issued_by(certificate_of(fleet.trust_anchors, "it"))
    constraints = extension(certificate, x509.BasicConstraints)
    assert (constraints.ca, constraints.path_length) == (True, 0)
    assert extension(certificate, x509.KeyUsage).key_cert_sign
    assert certificate.subject.rfc4514_string() == "CN=identity.linkerd.cluster.local"
    assert abs(certificate.not_valid_after_utc - now() - YEAR) < dt.timedelta(minutes=1)
    assert isinstance(certificate.signature_hash_algorithm, hashes.SHA256)
    assert issued.private_key_pem not in repr(issued)


async def test_one_request_signs_one_issuer_however_often_it_plans(pool: Pool) -> None:
    store = pool.store()
    fleet = await pool.call(store.trust, now())
    first = await pool.call(store.issue, CLUSTER, fleet.signers[0], now())
    assert await pool.call(store.issue, CLUSTER, fleet.signers[0], now()) == first
    assert pool.certificates == 1
    await pool.call(pool.store().issue, CLUSTER, fleet.signers[0], now())
    assert pool.certificates == 2


async def test_a_repeated_call_makes_no_second_certificate(pool: Pool) -> None:
    key = public_key_of(new_issuer_request().request_pem)
    (authority,) = await pool.call(pool.door.authorities, POOL)
    arguments = (authority.name, key, "identity.linkerd.cluster.local", YEAR)
    first = await pool.call(pool.door.issue, *arguments)
    assert await pool.call(pool.door.issue, *arguments) == first
    # The request id is remembered for an hour; after that the certificate's own id still is.
    pool.server._pools[POOL].answered.clear()
    assert await pool.call(pool.door.issue, *arguments) == first
    assert pool.certificates == 1


async def test_a_moment_of_unavailability_is_waited_out(pool: Pool) -> None:
    pool.faults.order("FetchCaCerts", grpc.StatusCode.UNAVAILABLE, "try again")
    assert len(await pool.call(pool.door.trusted, POOL)) == 1


async def test_what_cannot_be_is_said_with_the_pool_and_what_to_do(pool: Pool) -> None:
    with pytest.raises(Permanent, match="there is no pool projects/x/locations/y/caPools/z") as raised:
        await pool.call(pool.door.trusted, "projects/x/locations/y/caPools/z")
    assert "BYOMESH_CA_POOL" in raised.value.remedy
    pool.faults.order("CreateCertificate", grpc.StatusCode.PERMISSION_DENIED, "no")
    store = pool.store()
    fleet = await pool.call(store.trust, now())
    with pytest.raises(Temporary, match="PERMISSION_DENIED") as denied:
        await pool.call(store.issue, CLUSTER, fleet.signers[0], now())
    assert "privateca.certificates.create" in denied.value.remedy
    await pool.call(pool.door.disable, f"{POOL}/certificateAuthorities/first")
    with pytest.raises(Permanent, match="no CA of the pool can sign"):
        await pool.call(pool.store().trust, now())


async def test_a_pool_rotates_in_three_steps(pool: Pool) -> None:
    store = pool.store()
    old = (await pool.call(store.trust, now())).trust_anchors
    assert await pool.call(store.next_step, now()) is RotationStep.BEGIN

    await pool.call(store.take, RotationStep.BEGIN, now())
    begun = await pool.call(store.trust, now())
    assert sorted(pool.states.values()) == ["ENABLED", "STAGED"]
    assert len(certificates_of(begun.trust_anchors, "it")) == 2
    assert begun.trust_anchors.startswith(old)
    assert begun.signers[0] == old
    with pytest.raises(Permanent, match="finish isn't the next step of the rotation, move is"):
        await pool.call(store.take, RotationStep.FINISH, now())

    await pool.call(store.take, RotationStep.MOVE, now())
    moved = await pool.call(store.trust, now())
    assert moved.trust_anchors == begun.trust_anchors
    assert moved.signers == begun.signers[::-1]
    issued = await pool.call(pool.store().issue, CLUSTER, moved.signers[1], now())
    certificate_of(issued.certificate_pem, "it").verify_directly_issued_by(certificate_of(old, "it"))

    # Cut off between its two calls, the last step is still the next one.
    await pool.call(pool.door.disable, f"{POOL}/certificateAuthorities/first")
    assert await pool.call(store.next_step, now()) is RotationStep.FINISH
    await pool.call(store.take, RotationStep.FINISH, now())
    finished = await pool.call(store.trust, now())
    assert finished.signers == (finished.trust_anchors,) == (moved.signers[0],)
    assert pool.states["first"] == "DELETED"
    assert await pool.call(store.next_step, now()) is RotationStep.BEGIN


async def test_a_ca_that_was_staged_by_others_is_the_successor(pool: Pool) -> None:
    (authority,) = await pool.call(pool.door.authorities, POOL)
    for _ in range(2):
        await pool.call(pool.door.stage, POOL, authority, "theirs", YEAR)
    assert pool.states == {"first": "ENABLED", "theirs": "STAGED"}
    assert await pool.call(pool.store().next_step, now()) is RotationStep.MOVE
