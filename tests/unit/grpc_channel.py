"""A gRPC channel without a socket, for faults that a real server can't be made to show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import grpc


class Fault(grpc.RpcError):
    """What a server answers in place of a message."""

    def __init__(self, code: grpc.StatusCode, words: str) -> None:
        super().__init__(words)
        self._code = code
        self._words = words

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._words

    def result(self, timeout: float | None = None) -> Any:  # noqa: ARG002 (grpc.Future's signature)
        raise self

    def trailing_metadata(self) -> tuple[()]:
        return ()

    def initial_metadata(self) -> tuple[()]:
        return ()

    def cancel(self) -> bool:
        return False

    def is_active(self) -> bool:
        return False

    def time_remaining(self) -> float:
        return 0.0

    def add_callback(self, callback: Callable[[], None]) -> bool:  # noqa: ARG002 (grpc.Call's signature)
        return False


class _Answered:
    """The part of a finished grpc.Call that Google's clients look at."""

    def __init__(self, response: Any) -> None:
        self._response = response

    def result(self, timeout: float | None = None) -> Any:  # noqa: ARG002 (grpc.Future's signature)
        return self._response

    def trailing_metadata(self) -> tuple[()]:
        return ()


class Channel(grpc.Channel):
    """Hands each request to a function of its method's last part; the function returns a message or raises a Fault.

    Attributes:
        calls: (method, request, timeout) in order.
    """

    def __init__(self, **handlers: Callable[[Any], Any]) -> None:
        self._handlers = handlers
        self.calls: list[tuple[str, Any, float | None]] = []

    def unary_unary(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, *_: Any
    ) -> Any:
        return _Method(self, method.rpartition("/")[2], request_serializer, response_deserializer)

    def handle(self, method: str, request: Any, timeout: float | None) -> Any:
        self.calls.append((method, request, timeout))
        return self._handlers[method](request)

    def unary_stream(self, *_: Any, **__: Any) -> Any:
        # A client wraps each method of its API at once; none that streams is called.
        def uncalled(*_: Any, **__: Any) -> None:
            raise NotImplementedError

        return uncalled

    stream_unary = stream_stream = unary_stream

    def subscribe(self, *_: Any, **__: Any) -> None:
        return None

    unsubscribe = subscribe

    def close(self) -> None:
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class _Method:
    def __init__(self, channel: Channel, name: str, serialize: Any, deserialize: Any) -> None:
        self._channel = channel
        self._name = name
        self._serialize = serialize
        self._deserialize = deserialize

    def with_call(self, request: Any, timeout: float | None = None, **_: Any) -> tuple[Any, _Answered]:
        # Through bytes, as on a wire, so that a message of the wrong type doesn't pass.
        answer = self._channel.handle(self._name, request, timeout)
        message = type(answer).pb(answer) if hasattr(type(answer), "pb") else answer
        assert isinstance(self._serialize(request), bytes)
        response = self._deserialize(message.SerializeToString())
        return response, _Answered(response)

    def __call__(self, request: Any, timeout: float | None = None, **options: Any) -> Any:
        return self.with_call(request, timeout, **options)[0]
