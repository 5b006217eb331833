"""What functions-framework can't make an event of: refused with 400 and a sentence, before any handler.

Of itself the framework (3.10) answers such requests with 500 and a traceback (a body that is no UTF-8, a structured
event that is no JSON or nested too deep, a `specversion` that is no text), or with 400 and all of the request's headers
and body in the answer, tokens too (functions_framework/__init__.py, `_cloud_event_view_func_wrapper`). And it parses
whatever comes, however large. Pub/Sub's and Eventarc's own requests never end here, whatever is in their messages.
"""

from __future__ import annotations

from types import CodeType

import flask
from werkzeug.exceptions import BadRequest, HTTPException, InternalServerError, UnsupportedMediaType

from shared import telemetry

MAX_BODY = 16 * 1024 * 1024
"""Bytes of a request: Pub/Sub's largest message (10 MB) in base64, with its attributes; what is longer is 413."""
MAX_PARTS = 200_000
"""Brackets, braces and commas of a request, for JSON takes memory by its parts and not by its length.

An audit entry has some thousands; a message's data is base64, and has none.
"""

_REMEDY = "send a CloudEvent, or the body of a Pub/Sub push"


def refuse_unreadable(handler: CodeType) -> None:
    """Answer in a few words, and without a traceback, what never comes to `handler`.

    functions-framework imports a function's file within its application's context, and so calls this; anywhere else
    there is no application, and nothing is done.
    """
    if not flask.has_app_context():
        return
    # The application of a function is the framework's own Flask object, new for each function.
    app = flask.current_app
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.before_request(_weigh)

    def answer(error: Exception) -> flask.typing.ResponseReturnValue:
        if isinstance(error, HTTPException):
            if isinstance(error, InternalServerError):
                return error
            code = 400 if isinstance(error, BadRequest | UnsupportedMediaType) else error.code or 400
            return _refusal(type(error).__name__, code)
        if _came_to(handler, error):
            raise error
        return _refusal(type(error).__name__, 400)

    app.register_error_handler(Exception, answer)


def _weigh() -> flask.typing.ResponseReturnValue | None:
    """The refusal of a request that would unfold to too much; None for all others."""
    body = flask.request.get_data()
    parts = sum(body.count(one) for one in (b"[", b"{", b","))
    return None if parts <= MAX_PARTS else _refusal(f"{parts} brackets and commas", 413)


def _refusal(what: str, code: int) -> flask.typing.ResponseReturnValue:
    size = flask.request.content_length or 0
    words = f"refused, for it is no event ({what}; {size} bytes)"
    telemetry.warning(f"{words}; {_REMEDY}", reason="NoEvent", code=code)
    return f"{words}; {_REMEDY}\n", code, {"Content-Type": "text/plain; charset=utf-8"}


def _came_to(handler: CodeType, error: Exception) -> bool:
    """Whether an error comes out of the handler, and not from the way there."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code is handler:
            return True
        trace = trace.tb_next
    return False
