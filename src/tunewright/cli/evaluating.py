"""`eval`: a verb of its own, and the group of the verbs below it."""

from __future__ import annotations

import typer

from tunewright.cli import explain, gold, judge, parity, reviewing, tasks
from tunewright.cli.groups import own_verb
from tunewright.cli.measuring import measure
from tunewright.cli.outputs import outputs
from tunewright.cli.verb import verb

_MEASURE, _OUTPUTS = "measure", "outputs"


def meant(args: list[str]) -> list[str]:
    """The arguments with the verb that they leave out.

    `--outputs FILE` names the answers wherever it stands, and is the argument of the verb `outputs`.
    """
    given = [word.partition("=") for word in args]
    for place, (option, equals, value) in enumerate(given):
        if option == f"--{_OUTPUTS}":
            rest = args[:place] + ([value] if equals else []) + args[place + 1 :]
            return [_OUTPUTS, *rest]
    return [_MEASURE, *args]


def register(app: typer.Typer) -> None:
    """Adds `eval` to the command line."""
    group = typer.Typer(
        cls=own_verb(meant),
        help="Measure a model, or answers. `tunewright eval NAME` is short for `tunewright eval measure NAME`, "
        "`tunewright eval --outputs FILE` for `tunewright eval outputs FILE`.",
        no_args_is_help=True,
    )
    verb(group, _MEASURE, example="tunewright eval measure support-desk@1 --data held-out.csv")(measure)
    verb(group, _OUTPUTS, example="tunewright eval outputs answers.jsonl --metrics bleu,rouge,chrf")(outputs)
    explain.register(group)
    judge.register(group)
    gold.register(group)
    tasks.register(group)
    reviewing.register(group)
    parity.register(group)
    app.add_typer(group, name="eval")
