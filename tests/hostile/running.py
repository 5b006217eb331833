"""One process's share of the inputs of one target."""

from __future__ import annotations

import faulthandler
import resource
import time
from collections import Counter
from random import Random

import msgspec

from tests.hostile.decoders import DECODERS, taken
from tests.hostile.requests import Requests
from tests.hostile.served import served

_HANGS = 60
"""Seconds after which an input ends everything, with where it was."""
SLOW = 1.0
"""Seconds that no input may take."""


class Tally(msgspec.Struct):
    """What became of one process's inputs of one target.

    Attributes:
        target: a function's name, or a decoder's.
        answers: how many inputs ended how.
        slowest: seconds of the slowest.
        grown: KiB by which the process's greatest memory grew over the second half of its inputs.
        broken: what may never be, each once, with the input's number.
        seconds: how long all of it took.
    """

    target: str
    answers: dict[str, int] = {}
    slowest: float = 0.0
    grown: int = 0
    broken: dict[str, int] = {}
    seconds: float = 0.0


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def run(job: tuple[str, int, int, int]) -> Tally:
    target, seed, first, count = job
    tally = Tally(target)
    answers: Counter[str] = Counter()
    begun, halfway = time.perf_counter(), 0
    with served() as functions:
        requests = Requests()
        for number in range(first, first + count):
            random = Random(f"{seed}:{number}")  # noqa: S311 - it is to be repeated
            faulthandler.dump_traceback_later(_HANGS, exit=True)
            if target in functions:
                verdict = functions[target].post(*requests.make(random))
            else:
                verdict = taken(DECODERS[target], random)
            answers[str(verdict.answer)] += 1
            tally.slowest = max(tally.slowest, verdict.seconds)
            faults = [*verdict.faults, *([f"took {verdict.seconds:.1f} s"] if verdict.seconds > SLOW else [])]
            for fault in faults:
                tally.broken.setdefault(fault[-400:], number)
            if number == first + count // 2:
                halfway = _peak()
    faulthandler.cancel_dump_traceback_later()
    tally.answers = dict(answers)
    tally.grown = _peak() - halfway
    tally.seconds = time.perf_counter() - begun
    return tally
