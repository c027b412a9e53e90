"""`data label`: labels asked for in the terminal, and two people's labels compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunewright.base.errors import InputError
from tunewright.cli.faults import print_json
from tunewright.cli.options import JsonOutput, WorkspacePath
from tunewright.cli.verb import verb

if TYPE_CHECKING:
    from tunewright.base.events import Listener
    from tunewright.data.labelling.choosing import Vectors
    from tunewright.data.labelling.journal import Journal
    from tunewright.data.labelling.pool import Pool


def register(group: typer.Typer) -> None:
    """Adds this verb to the group `data`."""
    verb(group, "label", example="tunewright data label tickets.csv --labels refund,delivery,other")(label)


def label(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="Rows to label; with --compare, labels.", show_default=False)
    ],
    labels: Annotated[
        str, typer.Option("--labels", metavar="A,B,C", help="The labels to choose from, separated by commas.")
    ] = "",
    column: Annotated[str, typer.Option("--column", metavar="NAME", help="The column that holds the text.")] = "",
    output: Annotated[
        Path, typer.Option("--output", metavar="FILE", help="Where labels go, and are taken up from again.")
    ] = Path("labels.jsonl"),
    by: Annotated[
        str, typer.Option("--by", metavar="words|meaning", help="How texts are likened: meaning needs the encoder.")
    ] = "words",
    every: Annotated[int, typer.Option("--every", min=1, help="Learn again after so many labels.")] = 10,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="End after so many labels.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Decides between equally informative rows.")] = 17,
    compare: Annotated[
        Path | None,
        typer.Option("--compare", metavar="FILE", help="Compare with another person's labels, and ask nothing."),
    ] = None,
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Label rows in the terminal, the most informative first; go on later by the same command.

    One key a label; s skips, u takes the last one back, q ends. Each label is on disk before the next question.
    """
    if compare is not None:
        _compare(path, compare, json_output)
        return
    if by not in ("words", "meaning"):
        raise InputError(f"--by is words or meaning, and not '{by}'")
    from tunewright.cli.asking import Asker, ask, show_session
    from tunewright.cli.progress import progress
    from tunewright.data.labelling.journal import Journal
    from tunewright.data.labelling.pool import read_pool
    from tunewright.data.labelling.session import Session

    choices = _choices(labels)
    with Journal.open(output) as journal:
        _check_known(journal, choices)
        with progress() as listener:
            pool = read_pool(path, column, seed=seed, listener=listener)
            vectors = _vectors(pool, by, seed, workspace, listener)
        session = Session(pool, vectors, journal, every=every, seed=seed)
        ask(session, Asker.open(choices), limit=limit)
        found = session.as_json()
    if json_output:
        print_json(found)
    else:
        show_session(found)


def _choices(labels: str) -> list[str]:
    choices = [each.strip() for each in labels.split(",") if each.strip()]
    if len(choices) < 2 or len(set(choices)) < len(choices):
        raise InputError("--labels takes two different labels or more", hint="As in: --labels refund,delivery,other.")
    return choices


def _check_known(journal: Journal, choices: Sequence[str]) -> None:
    """Raises an `InputError` if a file has labels that are none of those to choose from."""
    if strange := sorted({each.label for each in journal.labelled} - set(choices)):
        raise InputError(
            f"This file holds labels that --labels does not name: {', '.join(strange)}",
            where=str(journal.path),
            hint="Name them too, or another file with --output.",
        )


def _vectors(pool: Pool, by: str, seed: int, workspace: Path | None, listener: Listener) -> Vectors:
    """A vector for each text of the pool."""
    from tunewright.base.events import Stage

    texts = [candidate.text for candidate in pool.candidates]
    if by == "meaning":
        from tunewright.data.meaning.embedding import ENCODER, Embedder
        from tunewright.store import Workspace

        return Embedder.open(ENCODER, Workspace.open(workspace).cache, listener).embed(texts)
    from tunewright.data.labelling.choosing import word_vectors

    listener(Stage("compare texts", "started", total=len(texts), unit="texts"))
    vectors = word_vectors(texts, seed)
    listener(Stage("compare texts", "finished", len(texts), len(texts), "texts"))
    return vectors


def _compare(first: Path, second: Path, json_output: bool) -> None:
    from tunewright.data.labelling.agreement import compare_labels
    from tunewright.data.labelling.journal import read_labels

    agreement = compare_labels(read_labels(first), read_labels(second))
    if json_output:
        print_json(agreement.as_json())
        return
    from tunewright.cli.asking import show_agreement

    show_agreement(agreement)
