"""The step that drops copies in other words."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.data.steps.frames import frame_of
from tunewright.base.errors import DataError, ModelError
from tunewright.data.frame import ROW_ID, StepResult
from tunewright.data.meaning.embedding import Embedder
from tunewright.data.prepare import prepare
from tunewright.data.steps.meaning_duplicates import Config, apply, survey
from tunewright.recipe import recipe_from_mapping
from tunewright.store import Workspace

# To the tiny encoder, which knows no case, "The Cat" is "the cat"; every word it does not know is the same word.
FRAME = frame_of(
    text=["the cat sat", "The Cat sat", None, "THE CAT SAT ON A MAT", "the cat sat", " ", "the cat sat"],
    label=["cat", "cat", "cat", "cat", "dog", "dog", "cat"],
    note=[None, "seen", None, None, None, None, None],
)


def run(frame: pl.DataFrame, config: Config, rows: int) -> list[StepResult]:
    """The step over pieces of so many rows."""
    pieces = [frame[start : start + rows] for start in range(0, frame.height, rows)]
    known = survey(pieces, config)
    return [apply(piece, config, known) for piece in pieces]


@pytest.fixture
def config(encoder_folder: Path, tmp_path: Path) -> Config:
    return Config(encoder=str(encoder_folder), threshold=0.999).bind(["text"], ["label"]).at(tmp_path / "cache")


@pytest.mark.parametrize("rows", [1, 2, 3, 7])
def test_the_fullest_row_stays_and_the_log_says_why(config: Config, rows: int) -> None:
    results = run(FRAME, config, rows)
    kept = pl.concat([result.frame for result in results])
    # r2 has a note; r5 has another answer; r4 says more; rows without a text are near to nothing.
    assert kept[ROW_ID].to_list() == ["r2", "r3", "r4", "r5", "r6"]
    edits = pl.concat([result.edits for result in results])
    assert edits["row_id"].to_list() == ["r1", "r7"]
    assert edits["reason"].to_list() == ["means the same as f:2, similarity 1.00"] * 2
    assert sum(result.findings["copies_by_meaning"] for result in results) == 2
    assert sum(result.findings["clusters"] for result in results) == 1
    again = run(kept, config, rows)
    assert pl.concat([result.frame for result in again]).equals(kept)


def test_other_answers_go_too_where_asked(config: Config) -> None:
    (result,) = run(FRAME, config.model_copy(update={"answers": "any"}), 7)
    assert result.frame[ROW_ID].to_list() == ["r2", "r3", "r4", "r6"]


def test_a_lower_threshold_takes_more(config: Config, encoder_folder: Path, tmp_path: Path) -> None:
    one, other = Embedder.open(str(encoder_folder), tmp_path / "cache").embed(["the cat sat", "THE CAT SAT ON A MAT"])
    below = round(float(one @ other) - 0.01, 6)
    (result,) = run(FRAME, config.model_copy(update={"threshold": below}), 7)
    assert "r4" not in result.frame[ROW_ID].to_list()


def test_nothing_is_downloaded_and_the_place_must_be_known(tmp_path: Path) -> None:
    bound = Config().bind(["text"], ["label"])
    with pytest.raises(ModelError, match="tunewright models pull all-minilm-l6-v2"):
        survey([FRAME], bound.at(tmp_path))
    with pytest.raises(ModelError, match="not told where models are kept"):
        survey([FRAME], bound)


def test_a_wrong_column_is_named(config: Config) -> None:
    with pytest.raises(DataError, match=r"'txt' is not there.*Did you mean 'text'"):
        survey([FRAME], config.model_copy(update={"columns": ("txt",)}))


def test_an_empty_table_is_no_crash(config: Config) -> None:
    assert run(FRAME[:0], config, 1) == []
    known = survey([FRAME[:0]], config)
    assert apply(FRAME[:0], config, known).frame.height == 0


def test_a_recipe_prepares_with_the_encoder_of_the_workspaces_cache(encoder_folder: Path, tmp_path: Path) -> None:
    texts = [f"{one} {two} {three}" for one in ("cat", "dog") for two in ("sat", "on", "mat") for three in ("a", "the")]
    rows = [*((text, text.split()[0]) for text in texts), ("cat sat zebra", "cat"), ("cat sat quokkas", "cat")]
    lines = ["text,label", *(",".join(row) for row in rows)]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    data = {
        "train": str(tmp_path / "rows.csv"),
        "template": {"user": "{text}", "assistant": "{label}"},
        "split": {"test": 2, "validation": 0, "minimum_test_rows": 1},
        "steps": [{"name": "meaning_duplicates", "encoder": str(encoder_folder), "threshold": 0.9999}],
    }
    recipe = recipe_from_mapping({"name": "r", "goal": "g", "data": data})
    workspace = Workspace.open(tmp_path / "ws")
    dataset = prepare(recipe, workspace, cache=workspace.cache)
    # The tiny encoder does not know zebras nor quokkas, and takes both for the same word.
    step = dataset.manifest["steps"][0]
    assert (step["rows_in"], step["dropped"], step["findings"]) == (14, 1, {"copies_by_meaning": 1, "clusters": 1})
    assert "cache" not in dataset.manifest["step_settings"][0]
    with pytest.raises(ModelError, match="not told where models are kept"):
        prepare(recipe, workspace)
