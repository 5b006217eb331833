"""What every gRPC service of the local cloud shares: who calls, faults on demand, errors as Google words them, TLS.

Handlers are built from the message types of Google's own client libraries (proto-plus), so that a service here is
a table of methods and nothing is generated.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as PackedAny
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

LOOPBACK = "127.0.0.1"
"""The only address that a server of the local cloud binds."""

Caller = Callable[[Iterable[tuple[str, Any]]], str | None]
"""Tells a call's e-mail from its metadata; None where it carries no valid token (`byomesh.local.identity`)."""

Handler: TypeAlias = "grpc.GenericRpcHandler[Any, Any]"
"""A service, as a gRPC server takes it."""

_DETAILS_KEY = "grpc-status-details-bin"


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """Who makes a call.

    Attributes:
        principal: e-mail of the account.
        user_agent: the client's own description of itself; "" where it sent none.
        ip: the caller's address, as the audit log names it.
    """

    principal: str
    user_agent: str = ""
    ip: str = LOOPBACK


class RpcFailure(Exception):
    """A call that is answered with a status other than OK.

    Attributes:
        code: the gRPC status.
        text: its message.
        details: messages of google.rpc.error_details for the status.
    """

    def __init__(self, code: grpc.StatusCode, text: str, *details: Message) -> None:
        super().__init__(f"{code.name}: {text}")
        self.code = code
        self.text = text
        self.details = details

    @property
    def number(self) -> int:
        """The status as the number of google.rpc.Code."""
        number: int = self.code.value[0]
        return number

    def trailers(self) -> tuple[tuple[str, bytes], ...]:
        """The trailing metadata that carries the details, as google.api_core reads it."""
        status = status_pb2.Status(code=self.number, message=self.text)
        for detail in self.details:
            packed = PackedAny()
            packed.Pack(detail)
            status.details.append(packed)
        return ((_DETAILS_KEY, status.SerializeToString()),) if self.details else ()


def error_info(reason: str, domain: str, **metadata: str) -> Message:
    """A google.rpc.ErrorInfo: the machine-readable reason of a failure."""
    info: Message = error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata)
    return info


@dataclasses.dataclass(slots=True)
class _Fault:
    code: grpc.StatusCode
    text: str
    left: int


class Faults:
    """Answers that tests order: the next calls of a method fail with a code and a text, whoever makes them."""

    def __init__(self) -> None:
        self._ordered: dict[str, list[_Fault]] = {}

    def order(self, method: str, code: grpc.StatusCode, text: str, *, times: int = 1) -> None:
        """Let the next `times` calls of `method` (its last part, such as `UpdateCluster`) fail."""
        self._ordered.setdefault(method, []).append(_Fault(code, text, times))

    def take(self, method: str) -> None:
        """Use up one ordered fault of `method`, if there is one.

        Raises:
            RpcFailure: the ordered answer.
        """
        waiting = self._ordered.get(method, [])
        if not waiting:
            return
        fault = waiting[0]
        fault.left -= 1
        if fault.left <= 0:
            waiting.pop(0)
        raise RpcFailure(fault.code, fault.text)


@dataclasses.dataclass(frozen=True, slots=True)
class Method:
    """One unary method of a service.

    Attributes:
        request: proto-plus type of the request.
        response: proto-plus type of the answer, or a protobuf type such as Empty.
        act: what answers it.
    """

    request: Any
    response: Any
    act: Callable[[Any, Call], Awaitable[Any]]


def service(name: str, methods: Mapping[str, Method], *, caller: Caller, faults: Faults) -> Handler:
    """A gRPC service `name` (such as `google.container.v1.ClusterManager`) out of its methods by their last part."""
    handlers = {
        short: grpc.unary_unary_rpc_method_handler(
            _behaviour(short, method, caller, faults),
            request_deserializer=method.request.deserialize,
            response_serializer=_serializer(method.response),
        )
        for short, method in methods.items()
    }
    return grpc.method_handlers_generic_handler(name, handlers)


async def serve(
    handlers: Sequence[Handler], *, certificate_pem: bytes, key_pem: bytes, port: int = 0
) -> tuple[grpc.aio.Server, int]:
    """Start a TLS server on loopback and say its port (`port` 0 takes a free one).

    Raises:
        RuntimeError: the port is taken, or certificate and key are no pair.
    """
    server = grpc.aio.server(handlers=handlers, options=[("grpc.so_reuseport", 0)])
    credentials = grpc.ssl_server_credentials([(key_pem, certificate_pem)])
    bound = server.add_secure_port(f"{LOOPBACK}:{port}", credentials)
    await server.start()
    return server, bound


def _serializer(response: Any) -> Callable[[Any], bytes]:
    if isinstance(response, type) and issubclass(response, Message):
        return response.SerializeToString
    serialize: Callable[[Any], bytes] = response.serialize
    return serialize


def _behaviour(short: str, method: Method, caller: Caller, faults: Faults) -> Callable[[Any, Any], Awaitable[Any]]:
    async def behave(request: Any, context: Any) -> Any:
        try:
            faults.take(short)
            return await method.act(request, _call(context.invocation_metadata(), caller))
        except RpcFailure as failure:
            await context.abort(failure.code, failure.text, failure.trailers())

    return behave


def _call(metadata: Sequence[tuple[str, Any]], caller: Caller) -> Call:
    principal = caller(metadata)
    if principal is None:
        raise RpcFailure(
            grpc.StatusCode.UNAUTHENTICATED,
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other "
            "valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
            error_info("ACCESS_TOKEN_TYPE_UNSUPPORTED", "googleapis.com"),
        )
    return Call(principal, dict(metadata).get("user-agent", ""))
