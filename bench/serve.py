"""The speed of `tunewright serve`, and what half an hour of load does to it.

python bench/serve.py --json                          # every work; the soak alone takes 30 minutes
python bench/serve.py --work concurrent,prefix        # some
python bench/serve.py --work soak --soak-minutes 3

All requests go through HTTP to the real server, which has a process of its own. README.md in this folder says what is
held equal, what is timed, and what each figure means. A work is one file in `serving/`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from serving.asking import Unanswered, at_once, stories
from serving.models import prepare
from serving.servers import ours
from serving.shared import Bench, tell
from speed.folders import folder_for
from speed.peers import NoPeer
from speed.processes import ProcessFailed, environment

NAMES = ("concurrent", "adapters", "peer_transformers_serve", "prefix", "json_schema", "soak")
WORKS: dict[str, Any] = {name: import_module(f"serving.{name}") for name in NAMES}


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", default=",".join(WORKS), help="Which, separated by commas; all by default.")
    parser.add_argument("--base", default="smollm2-135m-instruct", help="Another model, as recipes name it.")
    parser.add_argument("--requests", type=int, default=16, help="Under way at once.")
    parser.add_argument("--tokens", type=int, default=64, help="Longest answer.")
    parser.add_argument("--rounds", type=int, default=3, help="Of each side, in turn.")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="Of arithmetic, on both sides.")
    parser.add_argument("--memory", default="2GiB", help="For models and caches, which so are full early in a soak.")
    parser.add_argument("--peer-python", type=Path, help="An interpreter with the peers; else bench/.peers is made.")
    parser.add_argument("--keep", type=Path, help="A folder for all that the runs write; else it is thrown away.")
    parser.add_argument("--json", action="store_true")
    WORKS["soak"].add_options(parser)
    options = parser.parse_args(arguments)
    unknown = [name for name in options.work.split(",") if name not in WORKS]
    if unknown:
        parser.error(f"--work: {', '.join(unknown)} is unknown. Known: {', '.join(WORKS)}.")
    return options


def main() -> int:
    """Measures and prints; 0 when all was measured, 3 when a server failed or refused."""
    # Asked to end, it ends its servers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = options_of()
    found: dict[str, Any] = {}
    try:
        with folder_for("serve", options.keep) as folder:
            tell("the models")
            prepared = prepare(folder, options)
            ours_environment = environment(options.threads) | prepared.environment
            with ours(folder, prepared.workspace, ours_environment, "--memory", options.memory) as server:
                tell("warming up")
                at_once(server.url, stories(options.base, options.requests, 8, 0))
                bench = Bench(folder, options, server, prepared.adapters, prepared.base_folder)
                for name in options.work.split(","):
                    found[name] = WORKS[name].measure(bench)
                    if not options.json:
                        print(WORKS[name].text(found[name]), flush=True)
    except (NoPeer, ProcessFailed, Unanswered) as error:
        print(f"bench/serve.py: {error}", file=sys.stderr)
        return 3
    if options.json:
        print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
