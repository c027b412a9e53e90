import numpy as np
import pytest

from tests.plan.made import made_recipe, made_table
from tunewright.forest import build
from tunewright.models.memory import Piece
from tunewright.plan.work import Load, Steps, piece_of, work_assumed, work_of_rows


def nodes_of(piece):
    return piece.nodes


def test_a_piece_worked_by_hand():
    # Two rows of which the first three tokens are alike: 1 2 3 | 4 5, 1 2 3 | 6; the last token of each is not fed.
    table = made_table([[1, 2, 3, 4, 5], [1, 2, 3, 6]])
    steps = Steps(made_recipe(), {"train": table})
    (piece,) = steps.pieces(0)
    # Nodes 1 2 3 and 4 (behind which 5 is predicted); 6 is predicted at 3.
    assert (piece.nodes, piece.sources, piece.edges) == (4, 2, 2)
    # One segment of four nodes; keys come in multiples of sixteen.
    assert (piece.queries, piece.keys, piece.pairs) == (4, 16, 64)


def test_a_segment_reads_its_root_path_again():
    rows = [[*range(1, 91), 91 + row, *range(1, 9)] for row in range(2)]
    (piece,) = Steps(made_recipe(), {"train": made_table(rows)}).pieces(0)
    # 90 nodes and two branches of 8 behind them: 106, which 53 cuts evenly. The second segment sees the first one's 53
    # nodes, and its own: 106 keys, which makes 112 for both.
    assert (piece.nodes, piece.queries, piece.keys, piece.pairs) == (106, 106, 2 * 112, 106 * 112)


def test_work_of_few_steps_is_exact():
    rows = [[1, 2, 3, 4, 5], [1, 2, 3, 4, 6], [1, 2, 3, 4, 5, 6, 7, 8], [9, 9]]
    table = made_table(rows)
    work = work_of_rows(made_recipe(batch_size=1, epochs=2), {"train": table}, nodes_of)
    assert (work.rows, work.steps, work.tokens) == (4, 8, 2 * (5 + 5 + 8 + 2))
    assert work.training.nodes == 2 * (4 + 4 + 7 + 1)
    assert work.worst.nodes == 7
    assert work.is_known


def test_what_rows_share_is_counted_once():
    table = made_table([[1, 2, 3, 4, 5 + row] for row in range(4)])
    work = work_of_rows(made_recipe(batch_size=4), {"train": table}, nodes_of)
    assert work.training.nodes == 4
    assert work.sharing == 20 / 4


def test_of_many_steps_the_longest_is_found_and_the_sum_is_near():
    dice = np.random.default_rng(0)
    rows = [dice.integers(1, 250, dice.integers(5, 40)).tolist() for _ in range(400)]
    rows[137] = dice.integers(1, 250, 60).tolist()
    work = work_of_rows(made_recipe(batch_size=2), {"train": made_table(rows)}, nodes_of)
    steps = Steps(made_recipe(batch_size=2), {"train": made_table(rows)})
    true = [sum(piece.nodes for piece in steps.pieces(step)) for step in range(200)]
    assert work.worst.nodes == max(true)
    assert work.training.nodes == pytest.approx(sum(true), rel=0.03)


def test_a_step_over_the_budget_is_cut_and_later_pieces_meet_gradients():
    table = made_table([[10 * row + place for place in range(9)] for row in range(4)])
    steps = Steps(made_recipe(batch_size=4, node_budget=16), {"train": table})
    assert [(piece.nodes, piece.is_first) for piece in steps.pieces(0)] == [(16, True), (16, False)]


def test_a_piece_may_outgrow_those_before_it():
    table = made_table([[1] * 5, [2] * 9, [3] * 7])
    pieces = Steps(made_recipe(batch_size=4, node_budget=8), {"train": table}).pieces(0)
    assert [(piece.nodes, piece.outgrows) for piece in pieces] == [(4, False), (8, True), (6, False)]


def test_validation_counts_each_time():
    tables = {"train": made_table([[1, 2, 3]] * 8), "validation": made_table([[1, 2, 3, 4], [5, 6, 7]])}
    work = work_of_rows(made_recipe(batch_size=2, validate_every=2), tables, nodes_of)
    assert work.validating.nodes == 2 * (3 + 2)  # after the second step of four, and after the last


def test_unknown_rows_are_as_long_as_may_be_and_share_nothing():
    work = work_assumed(made_recipe(batch_size=4, node_budget=130), rows=10)
    assert work.worst == Piece.of_rows(2, 64, is_first=False)  # two rows of 63 nodes are within 130
    assert (work.steps, work.training.nodes, work.is_known) == (3, 10 * 63, False)
    assert work_assumed(made_recipe(), rows=0).training == Load()


def test_an_empty_forest_is_an_empty_piece():
    assert piece_of(build([])) == Piece(0, 0, 0, 0, 0, 0)


DRAWING = {"name": "grpo", "answers": 3, "max_new_tokens": 4, "passes": 2}
# Prompts 1 2 3 and 1 2 5 6; of each row the last token is its answer.
ASKED = [[1, 2, 3, 9], [1, 2, 5, 6, 9]]


def test_answers_that_will_be_drawn_count_as_long_as_they_may_be() -> None:
    work = work_of_rows(made_recipe(batch_size=2, objective=DRAWING), {"train": made_table(ASKED)}, nodes_of)
    # Nodes 1 2, then 3 and 5 6, and behind each prompt three answers of four tokens, the last of which is not fed.
    # From a prompt's end three tokens are predicted, from each answer's other three one.
    assert (work.worst.nodes, work.worst.sources, work.worst.edges) == (2 + 1 + 9 + 2 + 9, 2 * (1 + 9), 2 * (3 + 9))
    # Two passes over the one draw; each answer counts with its prompt.
    assert (work.rows, work.steps, work.tokens) == (2, 2, 2 * 3 * (3 + 4 + 4 + 4))
    assert work.training.nodes == 2 * 23
    assert work.sharing == 90 / 46


def test_drawing_reads_each_prompt_once_and_counts_beside_validation() -> None:
    tables = {"train": made_table(ASKED)}
    work = work_of_rows(made_recipe(batch_size=2, objective=DRAWING), tables, nodes_of)
    # A prompt of p tokens: each looks at half of them, and each of twelve tokens at the prompt and half of its answer.
    pairs = 3**2 / 2 + 12 * (3 + 2) + 4**2 / 2 + 12 * (4 + 2)
    assert work.validating == Load(nodes=3 + 4 + 2 * 12, sources=2 * 12, pairs=pairs)
    once = work_of_rows(made_recipe(batch_size=2, objective={**DRAWING, "passes": 1}), tables, nodes_of)
    assert once.validating == work.validating
    assert once.training == work.training.times(0.5)
    # Two rows apart are two draws.
    apart = work_of_rows(made_recipe(batch_size=1, objective=DRAWING), tables, nodes_of)
    assert (apart.steps, apart.validating) == (4, work.validating)


def test_each_validation_draws_answers_too() -> None:
    recipe = made_recipe(batch_size=2, objective={**DRAWING, "validation_answers": 2})
    held_out = made_table([[1, 2, 3, 4]] * 8)
    prompt = len(held_out.row(0).prompt)
    alone = work_of_rows(recipe, {"train": made_table(ASKED)}, nodes_of).validating
    both = work_of_rows(recipe, {"train": made_table(ASKED), "validation": held_out}, nodes_of).validating
    # Two steps, and a validation after each: eight rows, a prompt read once and two answers of four tokens.
    pairs = prompt**2 / 2 + 2 * 4 * (prompt + 4 / 2)
    assert both == alone + Load(nodes=2 * 8 * (prompt + 8), sources=2 * 8 * 8, pairs=2 * 8 * pairs)


def test_pieces_may_part_the_answers_to_one_prompt() -> None:
    recipe = made_recipe(batch_size=2, node_budget=12, objective=DRAWING)
    pieces = Steps(recipe, {"train": made_table(ASKED)}).pieces(0)
    # All answers behind 1 2 3; then two behind 1 2 5 6, and the third.
    assert [(piece.nodes, piece.is_first) for piece in pieces] == [(3 + 9, True), (4 + 6, False), (4 + 3, False)]


def test_unknown_rows_are_answered_as_long_as_may_be() -> None:
    drawing = {"name": "grpo", "answers": 4, "max_new_tokens": 16, "passes": 3}
    work = work_assumed(made_recipe(batch_size=2, objective=drawing), rows=10)
    assert work.worst == Piece.of_rows(2 * 4, 64 + 16)
    assert (work.steps, work.tokens, work.training.nodes) == (3 * 5, 3 * 10 * 4 * 80, 3 * 10 * 4 * 79)
    assert work.validating == work.training.times(1 / 3)
    small = work_assumed(made_recipe(batch_size=2, node_budget=200, objective=drawing), rows=10)
    assert small.worst == Piece.of_rows(2, 80, is_first=False)
