"""Each stage alone, to look at what it gives before the next one begins.

A stage that a run has done is not done again: interrupt this script, start it again with the run's id, and it goes on.

    python examples/stages.py                              # the support desk, on the embedded model
    python examples/stages.py my/recipe.yaml train.epochs=3
    python examples/stages.py --resume 20260301-140500-k3v9
"""

from __future__ import annotations

import sys
from pathlib import Path

import tunewright as tw

SUPPORT_DESK = Path(__file__).parent / "support-desk" / "recipe.yaml"


def main(recipe: str | Path = SUPPORT_DESK, *overrides: str, resume: str | None = None) -> None:
    """Goes from the records to the report, a stage at a time."""
    with tw.start(tw.load_recipe(recipe, overrides), resume=resume) as job:
        print(f"run {job.run.id} in {job.workspace.root}")

        dataset = tw.stages.prepare(job)
        print(f"dataset {dataset.hash[:12]}: {dataset.manifest['splits']}")
        print(f"  the first edits: {dataset.manifest['edits'][:2]}")

        look = tw.stages.preflight(job)
        print(f"a row has {look.lengths['p50']} tokens in the middle, {look.lengths['max']} at most")

        adapter = tw.stages.train(job)
        print(f"adapter {adapter.stored.hash[:12]}, best at step {adapter.curves['best_step']}")

        measured = tw.stages.evaluate(job)
        for test in measured.evaluation["comparisons"]:
            print(f"{test['metric']}: {test['a']} against {test['b']}, p = {test['p']:.4f}")

        released = tw.stages.release(job)
        assert released.stored is not None, "the recipe has no gate that could be missed"
        print(f"released as {released.label}; its card is {released.stored.path / 'README.md'}")

        print(f"report: {tw.stages.report(job).path}")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["--resume"]:
        main(*arguments[2:], resume=arguments[1])
    else:
        main(*arguments)
