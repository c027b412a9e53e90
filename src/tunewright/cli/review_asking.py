"""A review session in the terminal: the keys of `data label`, and a comment."""

from __future__ import annotations

from rich.console import Console
from rich.markdown import Markdown
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from tunewright.base.errors import InputError
from tunewright.cli.asking import WITH_COMMENT, Asker, harmless
from tunewright.evaluate.judging.rubrics import Rubric
from tunewright.evaluate.reviewing.rater import Given, Rater, Task, texts
from tunewright.evaluate.reviewing.training import CHOICES, PairToLearn

# Labels as they are typed; keys 1 to 4.
_WORDS = ("first better", "second better", "equally good", "both bad")


class _StoppedError(Exception):
    """The rater wants to stop, or stdin is at its end."""


def ask(rater: Rater) -> None:
    """Asks until nothing is left or the rater ends it; what was answered is on disk."""
    settings = rater.session.settings
    asker = Asker.open(_WORDS, WITH_COMMENT)
    console = asker.console
    console.print(Padding(Markdown(settings.guidelines), (1, 0)))
    while (task := rater.next()) is not None:
        _show(rater, task, console)
        try:
            given = _pair(rater, task, asker) if settings.kind == "pairwise" else _rating(rater, task)
        except _StoppedError:
            return
        if given is not None and given.stage == "training":
            _feedback(rater, given, console)


def _pair(rater: Rater, task: Task, asker: Asker) -> Given | None:
    """One answer; none where an earlier one was taken back instead."""
    comment = ""
    asker.console.print(asker.legend())
    while True:
        said = asker.answer()
        if said.command == "quit":
            raise _StoppedError
        if said.command == "undo":
            _undo(rater, asker.console)
            return None
        if said.command == "comment":
            comment = asker.read_line("Comment:")
            continue
        try:
            if said.command == "skip":
                return rater.answer(task.key, skipped=asker.read_line("Why?"), comment=comment)
            return rater.answer(task.key, choice=CHOICES[_WORDS.index(said.label)], comment=comment)
        except InputError as error:
            asker.console.print(Text(f"{error.what}.", style="yellow"))


def _rating(rater: Rater, task: Task) -> Given | None:
    """A point on each scale, one scale after the other."""
    ratings: dict[str, int] = {}
    comment = ""
    for rubric in rater.session.settings.criteria:
        asker = Asker.open([str(point) for point in rubric.points], WITH_COMMENT)
        _show_scale(rubric, asker.console)
        while rubric.name not in ratings:
            said = asker.answer()
            if said.command == "quit":
                raise _StoppedError
            if said.command == "undo":
                _undo(rater, asker.console)
                return None
            if said.command == "comment":
                comment = asker.read_line("Comment:")
            elif said.command == "skip":
                try:
                    return rater.answer(task.key, skipped=asker.read_line("Why?"), comment=comment)
                except InputError as error:
                    asker.console.print(Text(f"{error.what}.", style="yellow"))
            else:
                ratings[rubric.name] = int(said.label)
    return rater.answer(task.key, ratings=ratings, comment=comment)


def _undo(rater: Rater, console: Console) -> None:
    taken = rater.undo()
    console.print(Text("Took the last answer back." if taken else "There is no answer to take back.", style="yellow"))


def _show(rater: Rater, task: Task, console: Console) -> None:
    """How far the session is, the question and the answers."""
    items = len(rater.session.settings.training)
    done = len(rater.given)
    at = (
        f"Practice {done + 1} of {items}"
        if task.stage == "training"
        else f"{done - items + 1} of {len(rater.tasks) - items}"
    )
    question, answers, reference = texts(rater.session, task)
    console.print()
    console.rule(Text(at, style="dim"), align="left", style="dim")
    console.print(Padding(Text(harmless(question), style="bold"), (1, 2)))
    if reference:
        console.print(Panel(Text(harmless(reference)), title="right answer", title_align="left", border_style="dim"))
    for number, answer in enumerate(answers, 1):
        title = f"answer {number}" if len(answers) > 1 else "answer"
        shown = Text(harmless(answer)) if answer.strip() else Text("(an empty answer)", style="dim italic")
        console.print(Panel(shown, title=title, title_align="left", border_style="cyan"))


def _show_scale(rubric: Rubric, console: Console) -> None:
    console.print(Text.assemble((f"{rubric.shown}: ", "bold"), rubric.question))
    for point, meaning in rubric.scale.items():
        console.print(Text.assemble((f"  {point} ", "bold cyan"), meaning))


def _feedback(rater: Rater, given: Given, console: Console) -> None:
    item = rater.session.settings.training[int(given.unit)]
    if isinstance(item, PairToLearn):
        known = _WORDS[CHOICES.index(item.choice)]
    else:
        known = ", ".join(f"{name} {point}" for name, point in item.ratings.items())
    verdict, style = ("That is right", "green") if given.right else ("Not quite", "yellow")
    console.print(Text(f"{verdict}: {known}. {harmless(item.why)}".rstrip(), style=style))
    found = rater.learned
    if found.answered == found.items:
        console.print(Text(f"You got {found.right} of {found.items} practice items right.", style="bold"))
        if found.failed:
            told = "That is too few: what you answer from here on will be marked, and counted apart."
            console.print(Text(f"{told} Read the guidelines again.", style="bold yellow"))
