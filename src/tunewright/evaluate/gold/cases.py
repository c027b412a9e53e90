"""Cases: what is asked, and what the answer must be like. One YAML file holds one case, or a list of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, field_validator

from tunewright.base.errors import InputError, RecipeError, collect
from tunewright.evaluate.judging.rubrics import AnyRubric
from tunewright.recipe.faults import Location, faults
from tunewright.recipe.load import note_places
from tunewright.recipe.section import Section

CHAMPION = "champion"
SUFFIXES = (".yaml", ".yml")


def _several(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression ({error})") from None
    return text


def _schema(value: dict[str, Any]) -> dict[str, Any]:
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(value)
    except SchemaError as error:
        raise ValueError(f"this is no JSON Schema ({error.message})") from None
    return value


class _Plain(yaml.SafeLoader):
    """Reads dates as the texts that they are: an answer is never a date."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as the library has it
        first: [(tag, pattern) for tag, pattern in known if tag != "tag:yaml.org,2002:timestamp"]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


Texts = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_several)]
Patterns = Annotated[tuple[Annotated[str, AfterValidator(_pattern)], ...], BeforeValidator(_several)]


class Turn(Section):
    """A message of the conversation that is asked."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str


class Judged(Section):
    """How good a judge must find the answer."""

    rubric: AnyRubric
    at_least: float = Field(description="The lowest score that will do.")


class Wanted(Section):
    """What an answer must be like; all that is said here."""

    equals: Any = Field(
        None, description="The whole answer, white space at its ends aside; a mapping or list: the same JSON."
    )
    contains: Texts = Field((), description="A text that stands in it, or several.")
    not_contains: Texts = Field((), description="A text that must not, or several.")
    matches: Patterns = Field((), description="A regular expression that is found in it, or several.")
    matches_schema: Annotated[dict[str, Any], AfterValidator(_schema)] | None = Field(
        None, description="A JSON Schema that the answer, read as JSON, keeps."
    )
    judged: Judged | None = None
    not_worse_than: str = Field(
        "",
        description="champion (the release before) or a release: what it cannot do either is no failure here.",
    )

    @property
    def asks_itself(self) -> bool:
        """Whether there is something that an answer can miss by itself."""
        return bool(self.model_fields_set - {"not_worse_than"})

    @property
    def rival(self) -> str:
        """The release that is to be no better; empty: none."""
        return self.not_worse_than


class Case(Section):
    """One gold test."""

    name: str = Field("", description="What reports call it; empty: its place in the file.")
    input: str | dict[str, Any] | None = Field(
        None, description="A message as a user sends it; a mapping where the template has several columns."
    )
    messages: tuple[Turn, ...] = Field((), description="Or a whole conversation, asked as it stands.")
    wanted: Wanted = Field(alias="assert", description="What the answer must be like.")
    tags: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    note: str = Field("", description="Why this case is here; shown where it fails.")
    xfail: str = Field("", description="Why it is known to fail.")
    retries: int = Field(0, ge=0, le=20, description="Tries more for a model that draws its answers; told as a flake.")

    @field_validator("input")
    @classmethod
    def _says_something(cls, value: str | dict[str, Any] | None) -> str | dict[str, Any] | None:
        if isinstance(value, str) and not value.strip():
            raise ValueError("the message is empty")
        return value

    @field_validator("messages")
    @classmethod
    def _ends_with_the_user(cls, turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
        if turns and turns[-1].role != "user":
            raise ValueError("the last message must be the user's")
        return turns

    def misfits(self) -> Iterator[str]:
        """What is wrong with the case as a whole, in sentences."""
        if (self.input is None) == (not self.messages):
            yield "Give either an input or messages."
        if not self.wanted.asks_itself:
            yield (
                "Nothing says what the answer must be like: add equals, contains, not_contains, matches, "
                "matches_schema or judged under assert."
            )

    @property
    def asked(self) -> str:
        """What is asked, as reports show it."""
        if self.messages:
            return self.messages[-1].content
        return self.input if isinstance(self.input, str) else repr(self.input)

    @property
    def whole(self) -> str:
        """All that is asked, as a judge reads it."""
        if len(self.messages) < 2:
            return self.asked
        return "\n\n".join(f"[{turn.role}]\n{turn.content}" for turn in self.messages)


@dataclass(frozen=True, slots=True)
class Placed:
    """A case, and where it stands.

    Args:
        id: Its file, relative to the folder, and its name: `intents.yaml::refund`.
        case: What it says.
        where: File and line.
    """

    id: str
    case: Case
    where: str

    @property
    def name(self) -> str:
        """Its name within its file."""
        return self.id.partition("::")[2]


def read_folder(folder: Path) -> list[Placed]:
    """The cases of all YAML files below a folder, in the order of their paths.

    Raises:
        InputError: If there are none, or one is wrong; names file and line.
    """
    if not folder.is_dir():
        raise InputError("This folder of gold tests does not exist", where=str(folder))
    files = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file())
    found = [placed for file in files for placed in read_cases(file, folder)]
    if not found:
        raise InputError("There are no gold tests here", where=str(folder), hint="Write cases as YAML files.")
    return found


def read_cases(file: Path, folder: Path) -> list[Placed]:
    """The cases of one file.

    Raises:
        InputError: If the file or a case of it is wrong; lists every fault with its line.
    """
    items, places = _parse(file)
    found: list[Placed] = []
    wrong: list[str] = []
    names: set[str] = set()
    for number, item in enumerate(items):
        where = places.get((number,), str(file))
        inner = {at[1:]: line for at, line in places.items() if at[:1] == (number,)}
        try:
            case = Case.model_validate(item)
        except ValidationError as error:
            said = faults(error, Case, item, where, inner, whole="The case")
            wrong += [f"{place}: {sentence}" for place, sentence in said]
            continue
        name = case.name or f"case {number + 1}"
        wrong += [f"{where}: {sentence}" for sentence in case.misfits()]
        if name in names:
            wrong.append(f"{where}: Another case of this file is called '{name}' too.")
        names.add(name)
        found.append(Placed(f"{file.relative_to(folder).as_posix()}::{name}", case, where))
    if len(wrong) == 1:
        place, _, sentence = wrong[0].partition(": ")
        raise InputError(sentence.removesuffix("."), where=place)
    if wrong:
        raise InputError(f"There are {len(wrong)} faults\n{collect(wrong).removesuffix('.')}", where=str(file))
    return found


def _parse(file: Path) -> tuple[list[Any], dict[Location, str]]:
    """The items of a file, and where each of their keys stands."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        value, node = yaml.load(text, Loader=_Plain), yaml.compose(text, Loader=_Plain)  # noqa: S506 - a safe one
    except OSError as error:
        raise InputError(f"This file cannot be read ({error.strerror})", where=str(file)) from None
    except UnicodeDecodeError as error:
        raise InputError(f"This file is not UTF-8 (byte {error.start})", where=str(file)) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        line = f":{mark.line + 1}" if mark else ""
        raise InputError(f"This is not valid YAML: {problem}", where=f"{file}{line}") from None
    if node is None or not isinstance(value, dict | list):
        raise InputError("Gold tests are a case, or a list of cases", where=str(file))
    places: dict[Location, str] = {}
    try:
        note_places(node, () if isinstance(value, list) else (0,), str(file), places)
    except RecipeError as error:
        raise InputError(error.what, where=error.where, hint=error.hint) from None
    return (value if isinstance(value, list) else [value]), places
