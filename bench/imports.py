"""Which client libraries a function loads, and a function that loads the same and does nothing else.

`python -m bench.imports FILE` loads a function's file as functions-framework does and prints, as JSON, the import
statements by which it and `shared` reach other packages: [[module, [names]], …], in their order.
"""

from __future__ import annotations

import builtins
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.figures import BenchError

Import = tuple[str, tuple[str, ...]]
"""A module, and the names that are taken out of it; none for `import MODULE`."""

_OWN = ("shared", "functions")
_FUNCTION = "functions.measured"


def is_client(module: str) -> bool:
    """Whether a module is neither Python's own nor this project's."""
    root = module.partition(".")[0]
    return root not in _OWN and root not in sys.stdlib_module_names


def of_function(source: Path, environment: Mapping[str, str]) -> list[Import]:
    """The client imports of a function's file, found by loading it in a process of its own.

    Raises:
        BenchError: it can't be loaded, with Python's words.
    """
    command = [sys.executable, "-m", "bench.imports", str(source)]
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{source} can't be loaded: {done.stderr.strip()}")
    return [(module, tuple(names)) for module, names in json.loads(done.stdout)]


def baseline(name: str, imports: Sequence[Import]) -> str:
    """The source of a CloudEvent function NAME that loads `imports` and does nothing with an event."""
    return "\n".join(
        [
            "import functions_framework",
            *(statement(one) for one in imports),
            "",
            "",
            "@functions_framework.cloud_event",
            f"def {name}(event):",
            "    pass",
            "",
        ]
    )


def statement(one: Import) -> str:
    """An import as Python writes it."""
    module, names = one
    return f"from {module} import {', '.join(names)}" if names else f"import {module}"


class Recorder:
    """Stands in for Python's `__import__` and notes what this project's own modules ask of others."""

    def __init__(self, original: Callable[..., Any]) -> None:
        self._original = original
        self.found: dict[Import, None] = {}

    def __call__(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 - the names that Python gives them
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        """Import as ever."""
        importer = str((globals or {}).get("__name__", "")).partition(".")[0]
        if importer in _OWN and not level and is_client(name):
            self.found[(name, tuple(fromlist or ()))] = None
        return self._original(name, globals, locals, fromlist, level)


def _main() -> None:
    recorder = Recorder(builtins.__import__)
    specification = importlib.util.spec_from_file_location(_FUNCTION, sys.argv[1])
    if specification is None or specification.loader is None:
        sys.exit(f"{sys.argv[1]} is no Python file")
    module = importlib.util.module_from_spec(specification)
    builtins.__import__ = recorder
    try:
        specification.loader.exec_module(module)
    finally:
        builtins.__import__ = recorder._original  # noqa: SLF001
    print(json.dumps(list(recorder.found)))


if __name__ == "__main__":
    _main()
