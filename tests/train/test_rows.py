from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.train.made import general_table, made_base, made_examples
from tunewright.base.errors import DataError
from tunewright.data.balance import Balance, Draws
from tunewright.data.tokens import TokenTable, tokenize
from tunewright.models.base import Base
from tunewright.objectives import sft
from tunewright.train.rows import Rows


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return made_base(tmp_path_factory.mktemp("rows") / "tiny")


@pytest.fixture
def own(base: Base, tmp_path: Path) -> TokenTable:
    return tokenize(made_examples(4), base.chat, key="own", cache=tmp_path, max_length=256)


def test_general_rows_stand_behind_the_training_rows(base: Base, own: TokenTable, tmp_path: Path) -> None:
    general = general_table(base, tmp_path)
    rows = Rows(own, general, needs_general=True)
    assert (rows.own, rows.general) == (4, 6)
    assert rows.names([3, 4, 9]) == "row-3, general-0, general-5"
    assert rows.tokens(3) == len(own.tokens(3))
    assert rows.tokens(5) == len(general.tokens(1))
    assert rows.tables == [own.folder.name, general.folder.name]
    paths = rows.paths(sft.build(sft.Config()), [2, 5, 2])
    assert [path.row for path in paths] == [2, 5, 2]
    assert [path.group for path in paths] == [0, 1, 2]
    assert np.array_equal(paths[1].tokens, general.tokens(1))


def test_general_rows_that_nobody_asked_for_are_left_out(base: Base, own: TokenTable, tmp_path: Path) -> None:
    rows = Rows(own, general_table(base, tmp_path), needs_general=False)
    assert rows.general == 0
    assert rows.tables == [own.folder.name]


def test_so_many_general_rows_are_drawn_and_no_more_than_there_are(base: Base, own: TokenTable, tmp_path: Path) -> None:
    rows = Rows(own, general_table(base, tmp_path), needs_general=True)
    assert len(rows.general_paths(4, seed=1)) == 4
    drawn = rows.general_paths(99, seed=1)
    assert sorted(path.tokens.tobytes() for path in drawn) == sorted(
        general_table(base, tmp_path).tokens(row).tobytes() for row in range(6)
    )


def test_the_first_five_rows_are_named(own: TokenTable) -> None:
    assert Rows(own, None, needs_general=False).names([0, 1, 2, 3, 0, 1]) == "row-0, row-1, row-2, row-3, row-0, …"


def test_general_rows_that_are_needed_must_be_there(own: TokenTable) -> None:
    with pytest.raises(DataError, match=r"forgetting\.data: No general row has a token to learn"):
        Rows(own, None, needs_general=True)


def test_rows_weigh_and_are_drawn_as_their_balance_says(own: TokenTable) -> None:
    draws = Draws((np.array([0, 1]), np.array([2, 3])), (1, 4))
    weights = np.array([1, 2, 0.5, 3], np.float32)
    rows = Rows(replace(own, balance=Balance(draws, weights, None, ("told",), "key")), None, needs_general=False)
    paths, plain = rows.paths(sft.build(sft.Config()), [1, 2]), [own.weights(1), own.weights(2)]
    assert np.array_equal(paths[0].weights, plain[0] * 2)
    assert np.array_equal(paths[1].weights, plain[1] * 0.5)
    assert rows.draws is not None
    assert rows.draws.drawn == (1, 4)
    assert rows.told == ("told",)
    # What a checkpoint belongs to changes with it.
    assert rows.tables == [own.folder.name, "key"]
