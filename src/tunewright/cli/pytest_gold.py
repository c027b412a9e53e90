"""Gold tests under pytest: `pytest --tunewright-gold FOLDER MODEL`. Each case is a test; all are answered in one batch.

Every pytest run of whoever has tunewright installed loads this file, so it imports nothing until the option is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tunewright.evaluate.gold.cases import Placed
    from tunewright.evaluate.gold.run import Outcome

_GOLD, _MODEL = "tunewright_gold", "tunewright_model"
_SUFFIXES = (".yaml", ".yml")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options; `--tunewright-gold` takes the model as its second value, where it is not given apart."""
    group = parser.getgroup("tunewright", "gold tests of a tunewright release")
    group.addoption(
        "--tunewright-gold",
        nargs="+",
        metavar=("FOLDER", "MODEL"),
        help="Run the cases of a folder (YAML) against a release. With nothing else to run, they run alone.",
    )
    group.addoption("--tunewright-model", metavar="MODEL", help="The release, if it does not stand behind the folder.")
    group.addoption("--tunewright-workspace", metavar="FOLDER", help="Where releases are; as `--workspace` has it.")
    group.addoption("--tunewright-retries", metavar="N", type=int, default=0, help="Tries more, if answers are drawn.")
    group.addoption(
        "--tunewright-temperature", metavar="T", type=float, help="Draw answers at it; as the recipe has it."
    )
    group.addoption("--tunewright-judge", metavar="URL", default="", help="An endpoint that judges, where cases ask.")
    group.addoption("--tunewright-judge-model", metavar="NAME", default="", help="The judge's name there.")
    group.addoption("--tunewright-judge-local", metavar="MODEL", default="", help="Or a model here that judges.")


def pytest_configure(config: pytest.Config) -> None:
    """Reads the options, and has the folder collected."""
    given = config.getoption(_GOLD)
    if not given:
        return
    folder, *rest = given
    named = config.getoption(_MODEL)
    models = [*rest, *([named] if named else [])]
    if len(models) != 1:
        said = "names no model" if not models else f"names {len(models)} models: {', '.join(models)}"
        raise pytest.UsageError(
            f"--tunewright-gold {said}. As in: pytest --tunewright-gold FOLDER MODEL; put other paths in front of it"
        )
    path = Path(folder).absolute()
    if not path.is_dir():
        raise pytest.UsageError(f"--tunewright-gold: {folder} is no folder of gold tests")
    config.stash[_SESSION] = _Gold(path.resolve(), models[0], config)
    # A project's own tests run beside the cases only where they were asked for.
    asked = config.args_source is pytest.Config.ArgsSource.ARGS
    config.args = [*(config.args if asked else ()), str(path)]


class _Gold:
    """The cases of one pytest run: collected one by one, answered together when the first of them runs."""

    def __init__(self, folder: Path, model: str, config: pytest.Config) -> None:
        self.folder, self.model, self.config = folder, model, config
        self.outcomes: dict[str, Outcome] | None = None

    def outcome(self, item: GoldItem) -> Outcome:
        """What came of a case; all that are to run are answered at the first call."""
        if self.outcomes is None:
            items = [each for each in item.session.items if isinstance(each, GoldItem)]
            self.outcomes = self._run([each.placed for each in items])
        return self.outcomes[item.placed.id]

    def _run(self, cases: list[Placed]) -> dict[str, Outcome]:
        from tunewright.lifecycle.gold import open_gold
        from tunewright.lifecycle.judging import judge_settings

        def option(name: str) -> Any:
            return self.config.getoption(f"tunewright_{name}")

        judge = judge_settings(
            endpoint={"url": option("judge"), "model": option("judge_model")}, local=option("judge_local")
        )
        tests = open_gold(
            self.model,
            judge=judge,
            retries=option("retries"),
            temperature=option("temperature"),
            workspace=option("workspace"),
        )
        return {outcome.placed.id: outcome for outcome in tests.run(cases)}


_SESSION = pytest.StashKey[_Gold]()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Takes the YAML files below the folder."""
    gold = parent.config.stash.get(_SESSION, None)
    if gold is None or file_path.suffix not in _SUFFIXES or not file_path.resolve().is_relative_to(gold.folder):
        return None
    collected: pytest.Collector = GoldFile.from_parent(parent, path=file_path)
    return collected


class GoldFile(pytest.File):
    """A file of cases."""

    def collect(self) -> Iterator[GoldItem]:
        """One test for each case."""
        from tunewright.base.errors import InputError
        from tunewright.evaluate.gold.cases import read_cases

        try:
            cases = read_cases(self.path.resolve(), self.config.stash[_SESSION].folder)
        except InputError as error:
            raise self.CollectError(str(error)) from None
        for placed in cases:
            yield GoldItem.from_parent(self, name=placed.name, placed=placed)


class GoldItem(pytest.Item):
    """A case."""

    def __init__(self, *, placed: Placed, **given: Any) -> None:
        super().__init__(**given)
        self.placed = placed
        self.extra_keyword_matches.update(placed.case.tags)
        if placed.case.xfail:
            self.add_marker(pytest.mark.xfail(reason=placed.case.xfail))

    def runtest(self) -> None:
        """Fails where the answer misses something."""
        outcome = self.config.stash[_SESSION].outcome(self)
        if outcome.flaky:
            self.user_properties.append(("flaky", outcome.attempts))
        if outcome.misses:
            pytest.fail(outcome.explain(), pytrace=False)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What the user got wrong is said without a traceback."""
        from tunewright.base.errors import TunewrightError

        if isinstance(excinfo.value, TunewrightError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the case stands."""
        line = self.placed.where.rpartition(":")[2]
        return self.path, int(line) - 1 if line.isdigit() else None, self.placed.id


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Says which cases passed, but not at the first try."""
    gold = config.stash.get(_SESSION, None)
    flaky = [each for each in (gold.outcomes or {}).values() if each.flaky] if gold else []
    if not flaky:
        return
    terminalreporter.section("flaky gold tests")
    for outcome in flaky:
        terminalreporter.line(f"{outcome.placed.id}: passed at try {outcome.attempts}")
