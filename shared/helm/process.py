"""Runs a program so that it dies with its caller, has a deadline, and is handed its secrets through memory.

PR_SET_PDEATHSIG makes the kernel kill a child when its parent dies, however the parent dies. Two facts of Linux shape
this module (prctl(2)):

- "Parent" is the thread that forked. `run` forks and waits in the caller's own thread, so that thread outlives the
  child unless it is dying itself; a pool of threads, as gunicorn has, does no harm.
- The child must ask for it, between fork and exec. Doing that in Python there (preexec_fn) may deadlock where other
  threads hold locks, and gRPC has such threads. So the child is a fresh interpreter with nothing loaded (0.01 s), which
  asks, checks that its parent hasn't died meanwhile, and becomes the program.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from shared.kube_errors import ClusterFault

_GRACE = 10.0
"""Seconds between asking a program to end, which lets Helm mark its release as failed, and killing it."""

_LAUNCHER = f"""\
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, {int(signal.SIGKILL)})
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent died first")
os.execvp(sys.argv[2], sys.argv[2:])
"""
"""1 is PR_SET_PDEATHSIG (linux/prctl.h); it survives the exec."""


class HelmTimeout(ClusterFault):
    """Helm ran out of time and was ended; what it left half done is found by the next attempt."""


class Finished(msgspec.Struct, frozen=True):
    """A program that ended by itself.

    Attributes:
        code: its exit status; negative where a signal ended it.
        stdout: what it printed.
        stderr: what it complained of.
        seconds: how long it ran.
    """

    code: int
    stdout: bytes
    stderr: str
    seconds: float


@contextlib.contextmanager
def in_memory(data: bytes) -> Iterator[int]:
    """A file of `data` that has no name: its descriptor, for `run`'s `descriptors` and the path `/proc/self/fd/N`."""
    descriptor = os.memfd_create("byomesh")
    try:
        # Helm warns of kubeconfigs that a group may read.
        os.fchmod(descriptor, 0o600)
        os.write(descriptor, data)
        yield descriptor
    finally:
        os.close(descriptor)


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    stdin: bytes = b"",
    descriptors: Sequence[int] = (),
    deadline: float,
    cluster: str = "",
    tried: str = "",
) -> Finished:
    """Run a program to its end.

    Args:
        command: the program and its arguments.
        environment: all of its environment.
        stdin: its standard input.
        descriptors: open files that it inherits.
        deadline: seconds after which it is ended.
        cluster: for errors.
        tried: for errors.

    Raises:
        HelmTimeout: it didn't end in time, and has been ended.
    """
    begun = time.monotonic()
    launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid())]
    child = subprocess.Popen(
        [*launcher, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(environment),
        pass_fds=descriptors,
    )
    try:
        stdout, stderr = child.communicate(stdin, timeout=deadline)
    except subprocess.TimeoutExpired as error:
        _end(child)
        raise HelmTimeout(
            "HelmTimeout",
            f"Helm hadn't ended after {deadline:g} s and was ended",
            cluster=cluster,
            tried=tried,
            remedy="none; it is tried again. If it happens again and again, look at the API server's latency",
        ) from error
    except BaseException:
        # Whatever ends this thread (a worker's shutdown, too) must not leave Helm at work on the cluster.
        child.kill()
        child.communicate()
        raise
    return Finished(child.returncode, stdout, stderr.decode("utf-8", "replace"), time.monotonic() - begun)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.communicate(timeout=_GRACE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
