"""People's reviews of answers that are stored here: which answers a name means, and the session that shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tunewright.base.errors import DataError, InputError
from tunewright.base.files import write_json
from tunewright.lifecycle.answering import BASE, TUNED
from tunewright.lifecycle.late_findings import Attached, attach
from tunewright.store import Workspace

if TYPE_CHECKING:
    from tunewright.evaluate import Answers
    from tunewright.evaluate.reviewing.material import Kind
    from tunewright.evaluate.reviewing.results import Results
    from tunewright.evaluate.reviewing.session import Session, Settings

_GUIDELINES = {"pairwise": "pairwise.md", "rating": "rating.md"}
_LONGEST_GUIDELINES = 100_000


@dataclass(frozen=True)
class Asked:
    """How a session is to be held.

    Args:
        kind: `pairwise` or `rating`.
        rows: How many rows are drawn.
        criteria: Names of built-in rubrics, for ratings.
        guidelines: A Markdown file; None: the built-in ones.
        training: A file of items with known answers.
        raters: Who is to rate.
        controls: Items repeated for each rater; None: a tenth of the rows.
        overlap: Raters for each row; None: all see all rows.
        shows_reference: Whether the right answer is shown.
        seed: Decides rows, order and sides.
    """

    kind: Kind = "pairwise"
    rows: int = 50
    criteria: tuple[str, ...] = ()
    guidelines: Path | None = None
    training: Path | None = None
    raters: tuple[str, ...] = ()
    controls: int | None = None
    overlap: int | None = None
    shows_reference: bool = False
    seed: int = 17


@dataclass(frozen=True)
class Source:
    """Stored answers that a name means.

    Args:
        label: What reports call it.
        answers: Each system's answers.
        artifact: The answers artifact's hash; empty where it is a file.
        run: The run that measured them; empty where it is a file.
    """

    label: str
    answers: dict[str, Answers]
    artifact: str = ""
    run: str = ""

    def about(self) -> dict[str, str]:
        """Where the answers came from, as sessions keep it."""
        return {"label": self.label, "artifact": self.artifact, "run": self.run}


def open_session(workspace: Workspace, targets: Sequence[str], against: str | None, asked: Asked) -> Session:
    """The session for these answers and settings: taken up where there is one, else made.

    Args:
        workspace: Where answers and sessions are.
        targets: Releases, runs, answers by their hash, or files of answers.
        against: The other side of pairs: another such name, or a system of the first target. None: its base.
        asked: How the session is to be held.

    Raises:
        WorkspaceError: If nothing is called so.
        InputError: If the answers cannot be looked at so; says why.
    """
    from tunewright.evaluate.reviewing.material import gather
    from tunewright.evaluate.reviewing.session import begin

    sources = [find_answers(workspace, target) for target in targets]
    answers, used = _systems(workspace, sources, against, asked.kind)
    settings = _settings(asked)
    material = gather(answers, asked.kind, count=asked.rows, seed=asked.seed)
    about = {
        "sources": [source.about() for source in used],
        "templates": {name: given.template for name, given in answers.items()},
    }
    return begin(workspace.reviews, material, settings, about)


def is_session(workspace: Workspace, target: str) -> bool:
    """Whether a word is the id of a session, and not the name of answers."""
    from tunewright.evaluate.reviewing.session import sessions

    return target in sessions(workspace.reviews)


def find_answers(workspace: Workspace, target: str) -> Source:
    """The answers that a word means: of a release, of a run, of an artifact by its hash, or in a file of any system.

    Raises:
        WorkspaceError: If it is no file, and nothing is stored under it.
        DataError: If the file cannot be read as answers.
        InputError: If documents were scored: those are no answers.
    """
    from tunewright.evaluate import load_answers
    from tunewright.lifecycle.outputs_measuring import stored_answers

    path = Path(target).expanduser()
    if path.is_file():
        return _of_file(path)
    stored = stored_answers(target, workspace)
    if stored.manifest.get("answer_kind") == "document":
        raise InputError(
            "Documents were scored and not answered: there is nothing that people could look at", where=target
        )
    is_hash = stored.hash.startswith(target)
    return Source(
        stored.hash[:12] if is_hash else target,
        load_answers(stored.path),
        stored.hash,
        _run_of(workspace, target, stored.hash),
    )


def _of_file(path: Path) -> Source:
    from tunewright.evaluate import Answers
    from tunewright.evaluate.outputs import open_outputs

    outputs = open_outputs(path, {})
    names = {system or path.stem: system for system in outputs.systems()}
    given = {
        name: tuple(answer for piece in outputs.pieces(system) for answer in piece) for name, system in names.items()
    }
    return Source(path.name, {name: Answers(name, found, seconds=0.0) for name, found in given.items()})


def _run_of(workspace: Workspace, target: str, content: str) -> str:
    """The run that is meant among those with these answers: the release's, the one that is named, else the newest."""
    runs = [
        run for run in workspace.runs() if run.manifest.get("stages", {}).get("evaluate", {}).get("answers") == content
    ]
    released = {release.run for release in workspace.releases() if target in (release.label, release.name)}
    meant = [run for run in runs if run.id in released or run.id.startswith(target)] or runs
    return meant[0].id if meant else ""


def _systems(
    workspace: Workspace, sources: Sequence[Source], against: str | None, kind: str
) -> tuple[dict[str, Answers], list[Source]]:
    """Whose answers are shown, the one in question first, and where they came from."""
    first = sources[0]
    mine = TUNED if TUNED in first.answers else next(iter(first.answers), "")
    if against is not None and against in first.answers and against != mine and len(sources) == 1:
        return {mine: first.answers[mine], against: first.answers[against]}, [first]
    used = [*sources, *([find_answers(workspace, against)] if against is not None else [])]
    if len(used) == 1:
        others = [name for name in first.answers if name != mine]
        wanted = [mine, *([BASE] if BASE in others else others if len(others) == 1 else [])]
        if kind == "pairwise" and len(wanted) < 2:
            raise InputError(
                f"Whose answers '{first.label}' is to be compared with is not clear: it has those of"
                f" {', '.join(first.answers) or 'nobody'}",
                where=first.label,
                hint="Name the other side with --against, or rate one alone with --kind rating.",
            )
        return {name: first.answers[name] for name in wanted}, used
    found: dict[str, Answers] = {}
    for source in used:
        system = TUNED if TUNED in source.answers else next(iter(source.answers))
        if source.label in found:
            raise InputError(f"'{source.label}' is named twice", hint="Name two different ones.")
        found[source.label] = source.answers[system]
    return found, used


def _settings(asked: Asked) -> Settings:
    from importlib.resources import files

    from tunewright.evaluate.judging.rubrics import find_rubric
    from tunewright.evaluate.reviewing.session import Settings, check_names
    from tunewright.evaluate.reviewing.training import read_training

    check_names(asked.raters)
    if asked.kind == "pairwise" and asked.criteria:
        raise InputError("Pairs are compared as a whole, without criteria", hint="Rate by them with --kind rating.")
    if asked.kind == "rating" and not asked.criteria:
        raise InputError("A rating needs criteria", hint="As in: --criteria clarity,helpfulness.")
    if len(set(asked.criteria)) < len(asked.criteria):
        raise InputError("A criterion is named twice", where="--criteria")
    criteria = tuple(find_rubric(name) for name in asked.criteria)
    built_in = files("tunewright.evaluate.reviewing") / _GUIDELINES[asked.kind]
    return Settings(
        kind=asked.kind,
        criteria=criteria,
        guidelines=_read(asked.guidelines) if asked.guidelines else built_in.read_text(encoding="utf-8"),
        training=read_training(asked.training, asked.kind, criteria) if asked.training else (),
        controls=max(2, asked.rows // 10) if asked.controls is None else asked.controls,
        overlap=asked.overlap,
        dealt_to=asked.raters if asked.overlap is not None else (),
        shows_reference=asked.shows_reference or any(rubric.needs_material for rubric in criteria),
        seed=asked.seed,
    )


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"These guidelines cannot be read ({error})", where=str(path)) from error
    if not text or len(text) > _LONGEST_GUIDELINES:
        raise DataError(
            f"Guidelines have text, at most {_LONGEST_GUIDELINES:,} signs, and not {len(text):,}", where=str(path)
        )
    return text + "\n"


def attach_results(workspace: Workspace, results: Results) -> Attached:
    """Puts what people said to the evaluation and the report of the run whose answers are in question.

    The single ratings are kept as their evidence, an artifact `review`.

    Raises:
        InputError: If nothing counts yet, or the answers are of no run of this workspace.
    """
    from tunewright.evaluate.reviewing.findings import as_json, export, findings_of

    session = results.session
    findings = findings_of(results)
    source = session.about["sources"][0]
    if not source["run"]:
        raise InputError(
            f"The answers of '{source['label']}' are of no run of this workspace: there is no report to put this into",
            where=session.id,
            hint="Leave --attach out; --export writes the ratings to a file.",
        )

    def fill(folder: Path) -> None:
        export(results, folder / "ratings.jsonl")
        write_json(folder / "results.json", as_json(results))
        write_json(folder / "settings.json", session.settings.model_dump(mode="json"))

    stored = workspace.put(
        "review",
        fill,
        manifest={"session": session.id, "kind": session.settings.kind, "rows": results.rows},
        parents=[each["artifact"] for each in session.about["sources"] if each["artifact"]],
        producer=source["run"],
    )
    return attach(workspace, workspace.find_run(source["run"]), findings, evidence=stored.hash)
