"""`eval review`: people look at stored answers, in a local web page or in the terminal."""

from __future__ import annotations

import getpass
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunewright.base.errors import InputError
from tunewright.cli.faults import print_json
from tunewright.cli.groups import own_verb
from tunewright.cli.options import JsonOutput, WorkspacePath
from tunewright.cli.verb import verb

if TYPE_CHECKING:
    from tunewright.evaluate.reviewing.session import Session
    from tunewright.store import Workspace

_OPEN = "open"


Targets = Annotated[
    list[str],
    typer.Argument(
        metavar="NAME…",
        help="A release, a run, answers by their hash or in a file; or a session's id, to go on with it.",
        show_default=False,
    ),
]
Against = Annotated[
    str | None,
    typer.Option("--against", metavar="NAME", help="The other side; a system of the same answers, or as NAME."),
]
Rows = Annotated[int, typer.Option("--rows", min=1, help="How many rows are drawn.")]
Kind = Annotated[str, typer.Option("--kind", metavar="pairwise|rating", help="Pairs, or scales.")]
Criteria = Annotated[
    str, typer.Option("--criteria", metavar="A,B", help="What to rate by: clarity, coherence, helpfulness, tone, …")
]
Guidelines = Annotated[Path | None, typer.Option("--guidelines", metavar="FILE", help="Your own guidelines, Markdown.")]
Training = Annotated[
    Path | None, typer.Option("--training", metavar="FILE", help="Items with known answers, JSONL: shown first.")
]
Raters = Annotated[
    list[str] | None, typer.Option("--rater", metavar="NAME", help="Who rates; as often as there are raters.")
]
Overlap = Annotated[
    int | None, typer.Option("--overlap", min=1, help="Deal the rows: each to so many raters. Else all see all.")
]
Controls = Annotated[
    int | None, typer.Option("--controls", min=0, help="Rows asked twice. Default: a tenth of them, two at least.")
]
Reference = Annotated[bool, typer.Option("--reference", help="Show the right answer beside.")]
Seed = Annotated[int, typer.Option("--seed", help="Decides rows, order and sides.")]
Terminal = Annotated[bool, typer.Option("--terminal", help="Ask here instead of in the browser.")]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="Of the web page; 0: any free one.")]


def register(group: typer.Typer) -> None:
    """Adds `review` and the verbs below it to the group `eval`."""
    review = typer.Typer(
        cls=own_verb(lambda args: [_OPEN, *args]),
        help="People look at stored answers. `eval review NAME` is short for `eval review open NAME`.",
        no_args_is_help=True,
    )
    verb(review, _OPEN, example="tunewright eval review support-desk --rater anna --rater ben")(open_review)
    verb(review, "results", example="tunewright eval review results 3f2a --attach")(results)
    verb(review, "list", example="tunewright eval review list")(list_reviews)
    group.add_typer(review, name="review")


def open_review(
    targets: Targets,
    against: Against = None,
    rows: Rows = 50,
    kind: Kind = "pairwise",
    criteria: Criteria = "",
    guidelines: Guidelines = None,
    training: Training = None,
    rater: Raters = None,
    overlap: Overlap = None,
    controls: Controls = None,
    reference: Reference = False,
    seed: Seed = 17,
    terminal: Terminal = False,
    port: Port = 8377,
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Let people compare or rate answers: blind, shuffled, each answer on disk before the next.

    The same command goes on with the same session. Raters may come back at any time; Ctrl-C ends the web page.
    """
    from tunewright.lifecycle.reviewing import Asked, is_session, open_session
    from tunewright.store import Workspace

    if kind not in ("pairwise", "rating"):
        raise InputError(f"--kind is pairwise or rating, and not '{kind}'")
    if terminal and len(rater or ()) > 1:
        raise InputError("In one terminal one rater rates", where="--rater", hint="Name one of them.")
    place = Workspace.open(workspace, create=False)
    names = tuple(rater or ())
    if len(targets) == 1 and is_session(place, targets[0]):
        session = _known(place, targets[0])
        names = names or session.settings.dealt_to or tuple(session.raters())
    else:
        asked = Asked(
            kind=kind,  # type: ignore[arg-type]
            rows=rows,
            criteria=tuple(each.strip() for each in criteria.split(",") if each.strip()),
            guidelines=guidelines,
            training=training,
            raters=names,
            controls=controls,
            overlap=overlap,
            shows_reference=reference,
            seed=seed,
        )
        session = open_session(place, targets, against, asked)
    names = names or (_own_name(),)
    if terminal:
        _ask_here(session, names, json_output)
    else:
        _serve(session, names, port, json_output)


def results(
    session: Annotated[str, typer.Argument(metavar="SESSION", help="A session's id.", show_default=False)],
    attach: Annotated[
        bool, typer.Option("--attach", help="Put what was found to the run's evaluation and its report.")
    ] = False,
    export: Annotated[
        Path | None, typer.Option("--export", metavar="FILE", help="Write each rating: .jsonl or .csv.")
    ] = None,
    workspace: WorkspacePath = None,
    json_output: JsonOutput = False,
) -> None:
    """Show what people said: who wins and by how much, and how far the raters agree.

    Raters may still be at work: whoever stopped half-way counts with what he has.
    """
    from tunewright.evaluate.reviewing import findings
    from tunewright.evaluate.reviewing.results import results_of
    from tunewright.lifecycle.reviewing import attach_results
    from tunewright.store import Workspace

    place = Workspace.open(workspace, create=False)
    found = results_of(_known(place, session))
    attached = attach_results(place, found) if attach else None
    written = findings.export(found, export) if export is not None else None
    if json_output:
        document = findings.as_json(found)
        document |= {"attached": attached.as_json()} if attached else {}
        print_json(document | ({"exported": {"path": str(export), "ratings": written}} if export else {}))
        return
    from tunewright.cli.review_tables import show_results

    show_results(found, attached, exported=(export, written) if export else None, workspace=place.root)


def list_reviews(workspace: WorkspacePath = None, json_output: JsonOutput = False) -> None:
    """List the sessions of this workspace, the newest first."""
    from tunewright.cli.review_tables import session_as_json, show_sessions
    from tunewright.evaluate.reviewing.session import load, sessions
    from tunewright.store import Workspace

    place = Workspace.open(workspace, create=False)
    found = [load(place.reviews, identity) for identity in sessions(place.reviews)]
    if json_output:
        print_json([session_as_json(session) for session in found])
    else:
        show_sessions(found)


def _known(workspace: Workspace, identity: str) -> Session:
    from tunewright.evaluate.reviewing.session import load

    return load(workspace.reviews, identity)


def _own_name() -> str:
    """The user's own name, as far as it can name a rater."""
    from tunewright.evaluate.reviewing.session import check_name

    try:
        name = getpass.getuser()
        check_name(name)
    except (InputError, OSError, KeyError):
        return "rater"
    return name


def _ask_here(session: Session, names: tuple[str, ...], json_output: bool) -> None:
    if len(names) > 1:  # of a session that has several
        raise InputError(f"Who of {', '.join(names)} rates here?", where="--rater", hint="Name one of them.")
    from tunewright.cli.review_asking import ask
    from tunewright.cli.review_tables import session_as_json, show_end
    from tunewright.evaluate.reviewing.rater import Rater

    with Rater.open(session, names[0]) as rater:
        ask(rater)
    if json_output:
        print_json(session_as_json(session))
    else:
        show_end(session)


def _serve(session: Session, names: tuple[str, ...], port: int, json_output: bool) -> None:
    from tunewright.cli.progress import progress
    from tunewright.cli.review_tables import session_as_json, show_end, show_links
    from tunewright.evaluate.reviewing.rater import Rater
    from tunewright.evaluate.reviewing.session import check_names
    from tunewright.studio.review import Desks, review_app
    from tunewright.studio.serving import listen, serve

    check_names(names)
    with ExitStack() as stack:
        raters = [stack.enter_context(Rater.open(session, name)) for name in names]
        listening = stack.enter_context(listen(port))
        listener = stack.enter_context(progress())
        desks = Desks(session, raters, listener)

        def started(address: str) -> None:
            show_links(session, {name: address + path for name, path in desks.links.items()})

        serve(review_app(desks), listening, started=started)
    if json_output:
        print_json(session_as_json(session))
    else:
        show_end(session)
