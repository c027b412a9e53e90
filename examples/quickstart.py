"""The whole loop from Python, with progress of one's own: recipe in, measured release out, one question asked.

python examples/quickstart.py                          # the support desk, on the embedded model
python examples/quickstart.py my/recipe.yaml train.epochs=3
"""

from __future__ import annotations

import sys
from pathlib import Path

import tunewright as tw
from tunewright.base.events import Event, Metrics, Stage

SUPPORT_DESK = Path(__file__).parent / "support-desk" / "recipe.yaml"
QUESTION = "My Lumo lamp arrived broken. Order A1042. Please send a new one today!"


def show(event: Event) -> None:
    """A listener: it hears every event of the run. This one prints where stages begin, and every tenth loss."""
    if isinstance(event, Stage) and event.status == "started":
        print(f"{event.name} …", flush=True)
    elif isinstance(event, Metrics) and event.step % 10 == 0 and "loss" in event.values:
        print(f"  step {event.step} of {event.total}: loss {event.values['loss']:.3f}", flush=True)


def main(recipe: str | Path = SUPPORT_DESK, *overrides: str) -> None:
    """Runs a recipe, prints the scores, and asks the release something."""
    run = tw.run(recipe, overrides=overrides, listener=show)
    for system in ("base", "tuned"):
        for metric, score in run.evaluation[system].items():
            if isinstance(score, dict) and metric != "cut":
                interval = f"{score['low']:.3f} to {score['high']:.3f}"
                print(f"{system:>5} {metric:<22} {score['value']:.3f} (95 %: {interval}, n = {score['n']})")
    print(f"Report: {run.report}")
    print(tw.talk(run.release, QUESTION))


if __name__ == "__main__":
    main(*sys.argv[1:])
