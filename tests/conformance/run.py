"""Runs the official client's own test-suite against a server of ours.

python tests/conformance/run.py --json            # {collected, passed, failed, pass_share, areas: {...}}
python tests/conformance/run.py --areas files,chat
python tests/conformance/run.py --keep out        # leaves logs, results and the workspace there

The suite comes with openai's source distribution, which is fetched once into $TUNEWRIGHT_CONFORMANCE_CACHE (without it:
each time). What fails, and why, stands in docs/conformance.md.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # tests.tiny, wherever this is started

from suite import AREAS, Result, SuiteFailed, cache_folder, fetch, run_suite
from world import WorldFailed, make_world, serving

BAR = 0.95


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--areas", default=",".join(AREAS), help="Which, separated by commas; all by default.")
    parser.add_argument("--keep", type=Path, help="A new folder for all that is written; else it is thrown away.")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    options.areas = options.areas.split(",")
    if unknown := [area for area in options.areas if area not in AREAS]:
        parser.error(f"--areas: {', '.join(unknown)} is unknown. Known: {', '.join(AREAS)}.")
    return options


def counted(results: Sequence[Result]) -> dict[str, Any]:
    """How many tests there are, and how many of those that send a request pass."""
    sent = [result for result in results if result.sent]
    passed = sum(result.outcome == "passed" for result in sent)
    return {
        "collected": len(results),
        "sent": len(sent),
        "passed": passed,
        "failed": len(sent) - passed,
        "pass_share": round(passed / len(sent), 4) if sent else None,
        # Tests that send nothing (an empty id is refused by the client, or a mock answers) say nothing about a server.
        "without_request": dict(Counter(result.outcome for result in results if not result.sent)),
    }


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """The document."""
    areas = dict.fromkeys(result.area for result in results)
    return {
        **counted(results),
        "areas": {area: counted([each for each in results if each.area == area]) for area in areas},
        "failures": [
            {"test": each.name, "sent": each.sent, "reason": each.reason}
            for each in results
            if each.outcome == "failed"
        ],
    }


def as_text(found: dict[str, Any]) -> str:
    """The table for people."""
    lines = [f"{'area':<12} {'tests':>6} {'sent':>6} {'passed':>7} {'share':>8}"]
    for name, area in [*found["areas"].items(), ("all", found)]:
        share = "" if area["pass_share"] is None else f"{area['pass_share']:.1%}"
        lines.append(f"{name:<12} {area['collected']:>6} {area['sent']:>6} {area['passed']:>7} {share:>8}")
    reasons = Counter((each["test"].split("[")[0], each["reason"]) for each in found["failures"])
    lines += [f"{count} x {test}\n    {reason[:200]}" for (test, reason), count in sorted(reasons.items())]
    return "\n".join(lines)


@contextmanager
def folder_for(keep: Path | None) -> Iterator[Path]:
    """A new folder: below `keep`, where it stays, or one that does not."""
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield Path(tempfile.mkdtemp(prefix="conformance-", dir=keep.absolute()))
        return
    with tempfile.TemporaryDirectory(prefix="tunewright-conformance-") as folder:
        yield Path(folder)


def main() -> int:
    """Runs and prints; 0 when the bar is reached, 1 when not, 3 when it could not be run."""
    # Asked to end, it ends its servers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = options_of()
    try:
        with folder_for(options.keep) as folder, cache_folder() as cache:
            _tell("the suite")
            suite = fetch(cache)
            _tell("a workspace, and in it what the suite names")
            world = make_world(folder)
            with serving(world, "--no-worker") as url:
                _tell("its tests")
                results = run_suite(suite, url, options.areas, world.snapshot, folder)
    except (SuiteFailed, WorldFailed) as error:
        print(f"tests/conformance/run.py: {error}", file=sys.stderr)
        return 3
    found = as_json(results)
    print(json.dumps(found, indent=2) if options.json else as_text(found))
    return 0 if found["pass_share"] is not None and found["pass_share"] >= BAR else 1


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
