"""The held-out rows of a probe: what each asks, and what each system answered."""

from __future__ import annotations

from tunewright.base.errors import InputError
from tunewright.data.example import Example
from tunewright.evaluate.probing import BASE, TUNED, Asked
from tunewright.evaluate.speaker import Speaker
from tunewright.metrics import Answer


def question_of(example: Example) -> str:
    """The last turn of the user; empty where there is none."""
    return next((turn.content for turn in reversed(example.prompt) if turn.role == "user"), "")


def given_by(asked: Asked, system: str) -> tuple[Answer, ...]:
    """A system's answers to the held-out rows, in the rows' order; empty where it has not answered them.

    Raises:
        InputError: If there are no held-out rows, or the answers are of other rows.
    """
    if not asked.examples:
        raise InputError("There are no held-out rows to look at", where="evaluate.probes")
    if system not in asked.answers:
        return ()
    answers = asked.answers[system].answers
    if [answer.id for answer in answers] != [example.id for example in asked.examples]:
        raise InputError(
            f"'{system}' did not answer the held-out rows, each once and in their order: {len(answers)} answers, "
            f"{len(asked.examples)} rows",
            where="evaluate.probes",
            hint="Evaluate again, so that answers and rows belong together.",
        )
    return answers


def tuned_and_base(asked: Asked) -> dict[str, tuple[Answer, ...]]:
    """The answers of the tuned model, and of its base where there are such.

    Raises:
        InputError: If the tuned model has not answered.
    """
    found = {system: given for system in (TUNED, BASE) if (given := given_by(asked, system))}
    if TUNED not in found:
        raise InputError("The tuned model has not answered the held-out rows", where="evaluate.probes")
    return found


def speakers_of(asked: Asked, probe: str) -> dict[str, Speaker]:
    """The tuned model, and its base where it can be asked.

    Raises:
        InputError: If the tuned model cannot be asked.
    """
    found = {system: asked.systems[system] for system in (TUNED, BASE) if system in asked.systems}
    if TUNED not in found:
        raise InputError(
            f"'{probe}' asks the tuned model further questions, and only its stored answers are here",
            where=f"evaluate.probes.{probe}",
            hint="Take the probe out, or evaluate a model that can be asked.",
        )
    return found


def shown(text: str, most: int = 200) -> str:
    """A text on one line, shortened for a table."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
