"""Hostile input by the hundred thousand: `python -m tests.hostile [TARGET]... --count N --processes P --seed S`.

Each input follows from the seed and its number, which are told with what it broke. Ends with 1 if anything broke.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import multiprocessing
import sys
from collections import Counter
from typing import Any

from tests.hostile.decoders import DECODERS
from tests.hostile.running import Tally, run
from tests.hostile.served import names


def _merged(target: str, parts: list[Tally]) -> Tally:
    answers: Counter[str] = Counter()
    broken: dict[str, int] = {}
    for part in parts:
        answers.update(part.answers)
        broken.update(part.broken)
    return Tally(
        target,
        dict(answers),
        max(part.slowest for part in parts),
        max(part.grown for part in parts),
        broken,
        sum(part.seconds for part in parts),
    )


def main(arguments: list[str]) -> int:
    """Run the targets, all of them where none is named."""
    known = [*names(), *DECODERS]
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("target", nargs="*", help=f"one of: {', '.join(known)}")
    parser.add_argument("--count", type=int, default=10_000, help="inputs for each target")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first input, to see one of them again")
    given: Any = parser.parse_args(arguments)
    share = -(-given.count // given.processes)
    bad = 0
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(given.processes, context) as pool:
        for target in given.target or known:
            jobs = [(target, given.seed, given.first + part * share, share) for part in range(given.processes)]
            found = _merged(target, list(pool.map(run, jobs)))
            told = ", ".join(f"{answer} {number:,}" for answer, number in sorted(found.answers.items()))
            print(  # noqa: T201 - it is what it is for
                f"{target}: {told}; slowest {found.slowest * 1000:.0f} ms, memory +{found.grown / 1024:.1f} MiB over "
                f"the second half, {found.seconds:.0f} s",
                flush=True,
            )
            for fault, number in found.broken.items():
                bad += 1
                print(f"  input {number} of seed {given.seed}: {fault}", flush=True)  # noqa: T201
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
