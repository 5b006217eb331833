"""One `byomesh check`, measured from within: what it costs beyond the start of Python and the imports.

Started as `python -m bench.check_once KUBECONFIG [--proxy]`; prints JSON: `cpu` (processor seconds beyond the imports),
`imports` (those until then), `requests`, `memory` (MiB, the most that the process had).
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from byomesh.cli import judging
from shared.kube import from_kubeconfig

VERSION = "edge-26.8.3"


def main() -> None:
    """Check once and print what it cost."""
    # Reading the kubeconfig imports YAML's and TLS's parts, as the command's own start does.
    with from_kubeconfig(Path(sys.argv[1])) as api:
        before = time.process_time()
        report = judging.of_cluster(api, VERSION, proxy="--proxy" in sys.argv, beyond=False)
        judging.as_linkerd_has_it(report)
        cpu = time.process_time() - before
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        figures = {"cpu": cpu, "imports": before, "requests": api.requests, "memory": memory}
    sys.stdout.write(json.dumps(figures))


if __name__ == "__main__":
    main()
