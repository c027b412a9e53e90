"""Comparing models, and answers that are there already, on the same rows: who is better, how surely, and for whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import InputError, UnknownNameError
from tunewright.base.events import Listener, Message, Stage, ignore
from tunewright.base.files import write_json, write_text
from tunewright.base.quiet import quiet
from tunewright.lifecycle.data_measuring import measure_on, metric_configs
from tunewright.lifecycle.held_data import Asked
from tunewright.lifecycle.outputs_measuring import OUTPUTS, OutputsAsked, Source, kind_of_source, open_source
from tunewright.lifecycle.report.comparison import render_comparison, verdict_lines
from tunewright.lifecycle.targets import find_target
from tunewright.store import Stored, Workspace

if TYPE_CHECKING:
    from tunewright.evaluate import Answers
    from tunewright.evaluate.versus import Versus

_STAGE = "compare"
_SEED = 17
_SLICES = ("class", "question_length", "source")
_PREFERRED = "tuned"


@dataclass(frozen=True)
class Side:
    """One of those that are compared.

    Args:
        name: What the comparison calls it.
        answers: Its answers.
        facts: Where they come from, JSON-ready.
        kind: What an answer is; `auto`: not known.
        parent: Hash of the stored answers; empty where they are a file's.
        training: The right answers that it learned from; empty: not known.
    """

    name: str
    answers: Answers
    facts: dict[str, Any]
    kind: str
    parent: str = ""
    training: tuple[str, ...] = ()


@dataclass(frozen=True)
class Compared:
    """What a comparison found.

    Args:
        found: Scores, tests and slices.
        sides: Where each system's answers come from, by its name.
        verdict: On the main metric, a sentence for each system against the first.
        stored: The artifact: `comparison.json`, and the page.
        page: The page's path.
        run: The run's id.
    """

    found: Versus
    sides: dict[str, dict[str, Any]]
    verdict: tuple[str, ...]
    stored: Stored
    page: Path
    run: str

    def as_json(self) -> dict[str, Any]:
        """The result as `tunewright compare --json` prints it."""
        return document(self.found, self.sides, self.verdict) | {
            "page": str(self.page),
            "comparison": self.stored.hash,
            "run": self.run,
        }


def document(found: Versus, sides: dict[str, dict[str, Any]], verdict: Sequence[str]) -> dict[str, Any]:
    """A comparison, JSON-ready."""
    return {
        "verdict": " ".join(verdict),
        "metric": found.metric,
        "systems": sides,
        "evaluation": found.evaluation.as_json(),
        "differences": [each.as_json() | {"significant": each.significant} for each in found.differences],
        "left_out": found.left_out,
    }


def compare(
    words: Sequence[str],
    asked: Asked | None = None,
    *,
    base: str = "",
    slices: Sequence[str] = (),
    metrics: Sequence[str] = (),
    seed: int = _SEED,
    workspace: str | Path | Workspace | None = None,
    listener: Listener = ignore,
) -> Compared:
    """Compares what words name, each with the first.

    Args:
        words: Models (`targets.find_target`), which are asked; or answers that are there: a file, or stored ones by an
            artifact's hash, a run or a release, with `:SYSTEM` behind it where they are of several. One word alone
            stands for all of its systems.
        asked: The rows that models are asked; None: nobody is asked, and all words name answers.
        base: The base of adapters' folders that do not name one.
        slices: What rows are looked at apart by; empty: class, length and source.
        metrics: Names; empty: those that fit the answers.
        seed: Of resamples, swaps and drawn rows.
        workspace: An open workspace, its folder, or None: found as `Workspace.open` does, and made if need be.
        listener: Hears what was guessed, and of the progress.

    Raises:
        InputError: If a word names nothing, or the systems have no row in common.
    """
    from tunewright.evaluate.slices import Slicing
    from tunewright.evaluate.versus import compare as compare_answers
    from tunewright.metrics import place as at_cache

    configs = metric_configs(metrics)
    place = workspace if isinstance(workspace, Workspace) else Workspace.open(workspace)
    listener(Stage(_STAGE, "started"))
    if asked is not None:
        asked = replace(asked, seed=seed, metrics=tuple(metrics))
        asked = _of_the_same_rows(words, asked, base, place, listener)
    sides = _sides(words, asked, base, place, listener)
    kind = next((side.kind for side in sides if side.kind != "auto"), "auto")
    if kind == "auto":
        kind = kind_of_source([answer.reference for answer in sides[0].answers.answers])
    training = next((side.training for side in reversed(sides) if side.training), ())
    with quiet():
        found = compare_answers(
            {side.name: side.answers for side in sides},
            answer_kind=kind,  # type: ignore[arg-type]
            seed=seed,
            metrics=at_cache(configs, place.cache),
            slicing=Slicing(slices or _SLICES, training),
        )
    told = {side.name: side.facts for side in sides}
    verdict = tuple(verdict_lines(found))
    compared = _stored(words, found, told, verdict, sides, place)
    listener(Stage(_STAGE, "finished"))
    return compared


def _sides(
    words: Sequence[str], asked: Asked | None, base: str, workspace: Workspace, listener: Listener
) -> list[Side]:
    """All that are compared, their names told apart."""
    found: list[Side] = []
    for place, word in enumerate(words):
        listener(Stage(_STAGE, "progress", place, len(words), "systems", note=word))
        if asked is not None and not _is_answers(word, workspace):
            found.append(_model(word, asked, base, workspace, listener))
        else:
            found += _answered(word, workspace, alone=len(words) == 1)
    named: list[Side] = []
    for side in found:
        taken = {each.name for each in named}
        number = next(n for n in range(1, len(found) + 1) if _numbered(side.name, n) not in taken)
        named.append(replace(side, name=_numbered(side.name, number)))
    return named


def _of_the_same_rows(words: Sequence[str], asked: Asked, base: str, workspace: Workspace, listener: Listener) -> Asked:
    """What is asked, held to the fewest rows that a recipe among the models asks for; others would be left out."""
    if asked.limit is not None:
        return asked
    targets = [
        find_target(word, workspace, overrides=asked.overrides, base=base)
        for word in words
        if not _is_answers(word, workspace)
    ]
    limits = {target.label: target.recipe.evaluate.limit for target in targets if target.recipe}
    known = {label: limit for label, limit in limits.items() if limit is not None}
    if not known:
        return asked
    label = min(known, key=lambda each: known[each])
    listener(Message(f"All models are asked {known[label]:,} rows, as many as the recipe of {label} asks for."))
    return replace(asked, limit=known[label])


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name} ({number})"


def _is_answers(word: str, workspace: Workspace) -> bool:
    """Whether a word names answers that are there, where models may be asked too: a release is one to be asked."""
    path = Path(word.partition(":")[0]).expanduser()
    if path.is_file():
        return path.suffix not in (".yaml", ".yml", ".gguf")
    if ":" in word:
        return True
    runs = [run for run in workspace.runs() if run.id == word or (len(word) >= 8 and run.id.startswith(word))]
    is_hash = len(word) >= 8 and all(letter in "0123456789abcdef" for letter in word)
    return bool(runs) or (is_hash and any(each.hash.startswith(word) for each in workspace.artifacts("answers")))


def _model(word: str, asked: Asked, base: str, workspace: Workspace, listener: Listener) -> Side:
    from tunewright.evaluate import load_answers

    on_data = measure_on(word, asked, base=base, workspace=workspace, listener=listener)
    learned = on_data.target.learned(workspace)
    facts = {
        "target": on_data.target.as_json(),
        "data": on_data.data,
        "answers_are": on_data.oddities,
        "answers": on_data.answers.hash,
    }
    return Side(
        on_data.target.label,
        load_answers(on_data.answers.path)[on_data.system],
        facts,
        on_data.evaluation["answer_kind"],
        on_data.answers.hash,
        tuple(learned.table("train")["answer"]) if learned else (),
    )


def _answered(word: str, workspace: Workspace, *, alone: bool) -> list[Side]:
    """The systems of stored answers or of a file: one, or all of them where nothing else is compared."""
    where, _, wanted = word.partition(":")
    source = open_source(OutputsAsked(where), workspace)
    if not source.has_references:
        raise InputError(
            "No column looks like the right answers, so there is nothing to hold the given ones against",
            where=where,
            hint="Add a column `reference`, or rename the one that has them.",
        )
    names = list(source.systems)
    if wanted:
        if wanted not in names:
            raise UnknownNameError("system", wanted, names, where=where)
        names = [wanted]
    elif not alone and len(names) > 1:
        if _PREFERRED not in names:
            raise InputError(
                f"'{where}' holds the answers of several systems: {', '.join(names)}",
                hint=f"Name one, as in {where}:{names[0]}.",
            )
        names = [_PREFERRED]
    return [_side(source, name, Path(where).name) for name in names]


def _side(source: Source, name: str, label: str) -> Side:
    from tunewright.evaluate import Answers, Oddities

    answers = tuple(answer for piece in source.pieces(name) for answer in piece)
    about = source.systems[name]
    odd = Oddities(labels=source.kind == "label")
    odd.add(answers)
    seconds = float(about.get("seconds") or sum(answer.seconds or 0.0 for answer in answers))
    given = Answers(name, answers, seconds, not_covered=tuple(about["not_covered"]), template=about["template"])
    shown = label if name == OUTPUTS else name if len(source.systems) > 1 else label
    facts = {"outputs": source.facts, "system": name, "answers_are": odd.as_json()}
    return Side(shown, given, facts, source.kind, source.facts.get("artifact", ""))


def _stored(
    words: Sequence[str],
    found: Versus,
    told: dict[str, dict[str, Any]],
    verdict: Sequence[str],
    sides: Sequence[Side],
    workspace: Workspace,
) -> Compared:
    """Keeps a comparison, with its page, as what came of its answers."""
    whole = document(found, told, verdict)
    run = workspace.start_run(_STAGE, _STAGE, {"name": _STAGE, "compared": list(words)})
    with run.lock():

        def fill(folder: Path) -> None:
            write_json(folder / "comparison.json", whole)
            write_text(folder / "comparison.html", render_comparison(whole))

        said = {"systems": list(told), "verdict": whole["verdict"], "n": found.evaluation.n}
        parents = list(dict.fromkeys(side.parent for side in sides if side.parent))
        stored = workspace.put("comparison", fill, manifest=said, parents=parents, producer=run.id)
        run.update_manifest(comparison=stored.hash)
        run.finish("succeeded")
    return Compared(found, told, tuple(verdict), stored, stored.path / "comparison.html", run.id)
