"""A review session on disk: what is looked at, by which rules, and each rater's answers in a file of their own.

    reviews/<id>/session.json      what `Session` holds, written once
    reviews/<id>/raters/<name>.jsonl   an answer a line

The id is the hash of the settings, so that the same command goes on with the same session.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tunewright.base.errors import DataError, InputError, WorkspaceError, did_you_mean
from tunewright.base.files import hash_value, read_json, write_json
from tunewright.evaluate.judging.rubrics import Rubric
from tunewright.evaluate.reviewing.material import Kind, Material, Row
from tunewright.evaluate.reviewing.training import PairToLearn, RatingToLearn

PASS_SHARE = 0.7  # of the training items that a rater must get right
_FILE = "session.json"
_ID_LENGTH = 10
_SHORTEST_ID = 4
_NAME = re.compile(r"\w[\w-]{0,39}")


class Settings(BaseModel):
    """How a session is held.

    Args:
        kind: Pairs, or ratings of single answers.
        criteria: The scales of a rating; none for pairs.
        guidelines: What raters read first, Markdown.
        training: Items whose verdict is known.
        controls: How many of his items each rater is shown a second time, unannounced.
        overlap: How many raters see each row; None: all of them see all rows.
        dealt_to: Whom the rows are dealt to, where not all see all.
        shows_reference: Whether the right answer is shown beside.
        seed: Decides rows, order and sides.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    criteria: tuple[Rubric, ...] = ()
    guidelines: str = Field(min_length=1)
    training: tuple[PairToLearn | RatingToLearn, ...] = ()
    controls: int = Field(ge=0)
    overlap: int | None = Field(None, ge=1)
    dealt_to: tuple[str, ...] = ()
    shows_reference: bool = False
    seed: int


class _Kept(BaseModel):
    """A session as its file has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings: Settings
    systems: tuple[str, ...]
    rows: tuple[Row, ...]
    about: dict[str, Any]
    secret: str


@dataclass(frozen=True)
class Session:
    """A review session.

    Args:
        id: Its name in the workspace.
        folder: Where it lies.
        settings: How it is held.
        systems: Whose answers are looked at; of a pair the one in question first. Never shown to raters.
        rows: What they look at.
        about: Where the answers came from: `sources`, and how many rows there were (`Material.counts`).
        secret: Keeps what pages carry from being forged or guessed.
    """

    id: str
    folder: Path
    settings: Settings
    systems: tuple[str, ...]
    rows: tuple[Row, ...]
    about: Mapping[str, Any]
    secret: str

    def file_of(self, rater: str) -> Path:
        """Where a rater's answers lie.

        Raises:
            InputError: If this is no name, or rows are dealt out and the name is none of those they are dealt to.
        """
        check_name(rater)
        settings = self.settings
        if settings.overlap is not None and rater not in settings.dealt_to:
            raise InputError(
                f"The rows of this session are dealt to {', '.join(settings.dealt_to)}, and not to '{rater}'",
                where=self.id,
                hint="Begin another session for other raters.",
            )
        return self.folder / "raters" / f"{rater}.jsonl"

    def raters(self) -> list[str]:
        """Who has begun, sorted."""
        return sorted(path.stem for path in (self.folder / "raters").glob("*.jsonl"))


def begin(folder: Path, material: Material, settings: Settings, about: Mapping[str, Any]) -> Session:
    """The session of this material and these settings: taken up where there is one, else made.

    Args:
        folder: The workspace's folder of sessions.
        material: What is looked at.
        settings: How.
        about: Where the answers came from.

    Raises:
        InputError: If rows are dealt to fewer raters than each is to be seen by.
    """
    if settings.overlap is not None and settings.overlap > len(settings.dealt_to):
        raise InputError(
            f"Each row cannot be seen by {settings.overlap} of {len(settings.dealt_to)} raters",
            where="--overlap",
            hint="Name as many raters with --rater.",
        )
    for rater in settings.dealt_to:
        check_name(rater)
    rows = [row.model_dump() for row in material.rows]
    settled = settings.model_dump(mode="json")
    identity = hash_value({"settings": settled, "systems": material.systems, "rows": rows})[:_ID_LENGTH]
    path = folder / identity / _FILE
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o700)  # its secret, and what people said, are for this user alone
        write_json(
            path,
            {
                "settings": settled,
                "systems": material.systems,
                "rows": rows,
                "about": {**about, **material.counts},
                "secret": secrets.token_hex(32),
            },
        )
    return load(folder, identity)


def load(folder: Path, identity: str) -> Session:
    """A session by its id or the beginning of it.

    Raises:
        WorkspaceError: If none, or several, are called so.
        DataError: If its file cannot be read.
    """
    known = sessions(folder)
    long_enough = len(identity) >= _SHORTEST_ID
    found = [name for name in known if name.startswith(identity)] if long_enough else []
    if len(found) != 1:
        names = f"Known: {', '.join(known)}." if known else "This workspace has no session yet."
        raise WorkspaceError(
            f"'{identity}' is ambiguous: {', '.join(found)}" if found else f"No review session is called '{identity}'",
            where=str(folder),
            hint=f"{did_you_mean(identity, known)}{names}",
        )
    path = folder / found[0] / _FILE
    try:
        kept = _Kept.model_validate(read_json(path))
    except (OSError, ValueError, ValidationError) as error:
        raise DataError(
            f"This session cannot be read ({type(error).__name__})",
            where=str(path),
            hint="Put the file back from a copy; the raters' answers beside it are whole.",
        ) from error
    return Session(found[0], path.parent, kept.settings, kept.systems, kept.rows, kept.about, kept.secret)


def sessions(folder: Path) -> list[str]:
    """The ids of all sessions, the newest first."""
    found = sorted(folder.glob(f"*/{_FILE}"), key=lambda path: (-path.stat().st_mtime, path.parent.name))
    return [path.parent.name for path in found]


def check_name(rater: str) -> None:
    """Refuses what cannot name a rater.

    Raises:
        InputError: If it is empty, long, or has other signs than letters, digits, dash and underscore.
    """
    if not _NAME.fullmatch(rater):
        raise InputError(
            f"'{rater}' cannot name a rater: letters, digits, dash and underscore, at most 40",
            where="--rater",
            hint="As in: --rater anna.",
        )


def check_names(raters: Sequence[str]) -> None:
    """Refuses names that are none, and one that is given twice.

    Raises:
        InputError: If there are such.
    """
    for rater in raters:
        check_name(rater)
    if len({rater.casefold() for rater in raters}) < len(raters):
        raise InputError("Two raters have one name", where="--rater", hint="Tell them apart.")
