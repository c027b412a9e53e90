"""Copies, contradictions and leakage, on rows whose counts are worked out by hand."""

from __future__ import annotations

from tests.data.quality.made import texts_only, view_of
from tunewright.data.inspections import conflicts, duplicates, leakage
from tunewright.data.quality.inspection import Inspection

LONG = "the quick brown fox jumps over the lazy dog beside the river bank near the old mill"


def test_duplicates_count_all_but_the_first_and_near_ones_apart() -> None:
    rows = [
        ("How do I reset my PIN?", "pin"),
        ("how do i RESET my pin", "pin"),
        ("How do I reset my PIN!!", "pin"),
        (LONG, "fox"),
        (LONG + " x", "fox"),
        ("", "pin"),
        ("?!", "pin"),
        ("Something else", "pin"),
    ]
    found = duplicates.inspect(view_of(rows), duplicates.Config())
    assert found.numbers["exact"] == {"rows": 2, "texts": 1, "share": 2 / 8}
    assert found.numbers["near"]["rows"] == 1
    assert found.numbers["near"]["clusters"] == 1
    assert found.value == 3 / 8
    assert found.verdict == "act"
    assert found.worst[0].why == "3 times, also at data.csv:3"
    assert found.worst[1].place == "data.csv:5"  # the shorter of the two near ones
    assert "data.csv:6" in found.worst[1].why


def test_a_near_copy_that_stands_there_twice_counts_twice() -> None:
    found = duplicates.inspect(texts_only([LONG + " x", LONG, LONG]), duplicates.Config())
    assert found.numbers["exact"]["rows"] == 1
    assert found.numbers["near"]["rows"] == 2


def test_nothing_repeats() -> None:
    found = duplicates.inspect(texts_only(["one thing", "another matter"]), duplicates.Config())
    assert (found.value, found.verdict, found.advice, found.worst, found.charts) == (0.0, "good", "", (), ())


def test_contradicting_labels_are_to_be_acted_on() -> None:
    rows = [("Top up?", "a"), ("top up", "b"), ("top up!", "A "), ("fine", "a"), ("fine", "A"), ("ok", "b")]
    found = conflicts.inspect(view_of(rows, kind="label"), conflicts.Config())
    assert found is not None
    assert dict(found.numbers) == {"texts": 1, "rows": 3}
    assert found.verdict == "act"
    assert found.worst[0].why == "“a” (2), “b” (1); at data.csv:2, data.csv:3, data.csv:4"


def test_several_free_answers_are_to_be_looked_at() -> None:
    rows = [("What is it?", "A long free answer."), ("What is it?", "Another free answer.")]
    found = conflicts.inspect(view_of(rows, kind="text"), conflicts.Config())
    assert found is not None
    assert found.verdict == "look"
    assert conflicts.inspect(texts_only(["a", "a"]), conflicts.Config()) is None


def leaks(*held: str, benchmarks: tuple[str, ...] = (), data: tuple[str, ...] = (LONG, "short text")) -> Inspection:
    view = view_of(
        [(text, "x") for text in data],
        held={"test.csv": [(text, "x") for text in held]} if held else {},
        benchmarks={"bench": [(text, "x") for text in benchmarks]} if benchmarks else {},
    )
    found = leakage.inspect(view, leakage.Config())
    assert found is not None
    return found


def test_a_held_out_row_is_found_in_one_of_three_ways() -> None:
    run = "he said the quick brown fox jumps over the lazy dog and then went home without a word to anyone"
    found = leaks("SHORT text!", LONG[:-1], run, "something new", "")
    ways = {way: found.numbers[way]["rows"] for way in ("exact", "near", "ngram", "any")}
    # The near copy also shares runs of words; the exact one is found in no other way.
    assert ways == {"exact": 1, "near": 1, "ngram": 2, "any": 3}
    assert found.numbers["ngram"]["n"] == 8
    assert found.numbers["ngram"]["too_short"] == 2  # "something new" and the empty text
    assert found.value == 2 / 5
    assert found.verdict == "act"
    assert {case.place for case in found.worst} == {"test.csv:2", "test.csv:3", "test.csv:4"}
    assert found.worst[0].why.startswith("also at data.csv:3")


def test_a_benchmark_is_looked_for_beside_the_held_out_rows() -> None:
    found = leaks("something new", benchmarks=("Short Text", "another"))
    assert found.numbers["exact"]["rows"] == 0
    assert found.numbers["benchmarks"]["bench"]["exact"] == {"rows": 1, "share": 0.5}
    assert found.numbers["benchmarks"]["bench"]["of"] == 2
    assert found.found.endswith("Of benchmarks there stand in it: bench 1.")
    assert found.verdict == "act"


def test_a_benchmark_alone_is_what_the_numbers_are_of() -> None:
    found = leaks(benchmarks=("Short Text", "another"))
    assert found.numbers["exact"]["rows"] == 1
    assert found.value == 0.5


def test_nothing_leaks() -> None:
    found = leaks("something new")
    assert (found.verdict, found.advice, found.worst) == ("good", "", ())


def test_without_held_out_rows_there_is_nothing_to_leak() -> None:
    assert leakage.inspect(view_of([("a", "x")]), leakage.Config()) is None


def test_the_run_of_words_may_be_set() -> None:
    view = view_of([("one two three four five", "x")], held={"test.csv": [("zero one two three", "x")]})
    found = leakage.inspect(view, leakage.Config(n=3))
    assert found is not None
    assert found.numbers["ngram"]["rows"] == 1
