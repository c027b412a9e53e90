"""Balance, consistency and bias: what labels show."""

from __future__ import annotations

import pytest
from scipy.stats import chi2_contingency, fisher_exact

from tests.data.quality.made import texts_only, view_of
from tunewright.data.inspections import balance, bias, consistency
from tunewright.data.quality.demographics import TERMS


def labelled(counts: dict[str, int]) -> list[tuple[str, str]]:
    return [(f"text {label} {n}", label) for label, count in counts.items() for n in range(count)]


def test_the_effective_number_of_classes_is_the_exponential_of_the_entropy() -> None:
    found = balance.inspect(view_of(labelled({"a": 50, "b": 25, "c": 25})), balance.Config())
    assert found is not None
    # Entropy: 1/2 log 2 + 2 * 1/4 log 4 = 3/2 log 2.
    assert found.value == pytest.approx(2**1.5)
    assert found.numbers["imbalance_ratio"] == 2
    assert found.numbers["counts"] == {"a": 50, "b": 25, "c": 25}
    assert found.verdict == "good"


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        ({"a": 20, "b": 20}, "good"),
        ({"a": 100, "b": 20}, "look"),
        ({"a": 20, "b": 9}, "look"),
        ({"a": 500, "b": 10}, "act"),
        ({"a": 20}, "act"),
    ],
)
def test_imbalance_and_rare_classes(counts: dict[str, int], verdict: str) -> None:
    found = balance.inspect(view_of(labelled(counts)), balance.Config())
    assert found is not None
    assert found.verdict == verdict


def test_classes_that_stand_on_one_side_only() -> None:
    view = view_of(labelled({"a": 20, "b": 20}), held={"test.csv": [("x", "b"), ("y", "new")]})
    found = balance.inspect(view, balance.Config())
    assert found is not None
    assert found.numbers["only_data"] == ["a"]
    assert found.numbers["only_held_out"] == ["new"]
    assert found.verdict == "act"
    assert "“new”" in found.found


def test_many_classes_are_drawn_by_their_ends() -> None:
    found = balance.inspect(view_of(labelled({f"c{n:02}": 10 + n for n in range(30)})), balance.Config())
    assert found is not None
    bars = found.charts[0].bars  # type: ignore[union-attr]
    assert len(bars) == 21
    assert bars[0] == ("c29", 39.0)
    assert bars[10] == ("… 10 more, mean", 24.5)
    assert bars[-1] == ("c00", 10.0)


def test_only_labels_have_a_balance() -> None:
    assert balance.inspect(texts_only(["a"]), balance.Config()) is None


def test_spellings_of_one_label() -> None:
    rows = labelled(
        {"refund": 20, "Refund ": 2, "re-fund": 1, "shipping": 30, "shippping": 1, "level_1": 20, "level_2": 1}
    )
    found = consistency.inspect(view_of(rows), consistency.Config())
    assert found.numbers["variants"] == {"refund": {"refund": 20, "Refund ": 2, "re-fund": 1}}
    assert found.numbers["alike"] == {"shippping": "shipping"}
    assert found.numbers["rows"] == 4
    assert found.verdict == "act"
    assert {case.why for case in found.worst} == {
        "“Refund ” where others have “refund”",
        "“re-fund” where others have “refund”",
        "“shippping” where others have “shipping”",
    }


@pytest.mark.parametrize("text", ["n/a", "N/A", "TODO", "???", "-", "null", "tbd", "xxx", "Lorem ipsum dolor", "K.A."])
def test_placeholders(text: str) -> None:
    view = view_of([(text, "a"), ("a real question", "b")] * 5, kind="label")
    assert consistency.inspect(view, consistency.Config()).numbers["placeholders"] == 5


@pytest.mark.parametrize("text", ["test my card", "none of them work", "unknown charge", "so", "naan bread", "a"])
def test_no_placeholders(text: str) -> None:
    view = view_of([(text, "a"), ("a real question", "b")] * 5, kind="label")
    assert consistency.inspect(view, consistency.Config()).numbers["placeholders"] == 0


def test_a_label_may_be_called_none_where_it_is_a_class() -> None:
    common = view_of(labelled({"none": 50, "card": 50}))
    rare = view_of(labelled({"none": 1, "card": 150}), kind="label")
    assert consistency.inspect(common, consistency.Config()).numbers["placeholders"] == 0
    assert consistency.inspect(rare, consistency.Config()).numbers["placeholders"] == 1


def test_answers_of_two_forms() -> None:
    rows = [(f"q {n}", '{"a": 1}' if n else "a plain answer") for n in range(10)]
    found = consistency.inspect(view_of(rows, kind="text"), consistency.Config())
    assert found.numbers["forms"] == {"json": 9, "text": 1}
    assert found.numbers["rows"] == 1


def test_a_group_with_other_labels_is_found_and_another_is_not() -> None:
    rows = [(f"she asks for it number {n}", "no" if n < 25 else "yes") for n in range(30)]
    rows += [(f"he asks for it number {n}", "no" if n < 15 else "yes") for n in range(30)]
    rows += [(f"they ask for it number {n}", "no" if n % 2 else "yes") for n in range(140)]
    found = bias.inspect(view_of(rows), bias.Config())
    assert found is not None
    assert found.numbers["groups"] == {"gender: women": 30, "gender: men": 30}
    assert found.numbers["tests"] == 4
    told = found.numbers["differences"]
    assert {(each["group"], each["label"]) for each in told} == {("women", "no"), ("women", "yes")}
    assert told[0]["share"] in (25 / 30, 5 / 30)
    assert {each["rest_share"] for each in told} == {85 / 170}
    # Benjamini and Hochberg: the two smallest of four equal pairs; p * 4 / 2.
    assert told[0]["q"] == pytest.approx(told[0]["p"] * 2)
    assert found.verdict == "look"


def test_few_rows_are_counted_and_not_tested() -> None:
    rows = [("she asks", "no"), *((f"they ask {n}", "yes") for n in range(30)), ("it asks", "no")]
    found = bias.inspect(view_of(rows), bias.Config())
    assert found is not None
    assert found.numbers["groups"] == {"gender: women": 1}
    assert found.numbers["tests"] == 0
    assert found.verdict == "good"


def test_words_are_whole_and_a_common_other_sense_is_left_out() -> None:
    rows = [("the mens rea of a shell", "a"), ("a black card", "b"), ("Black people, and others", "a"), ("the", "b")]
    found = bias.inspect(view_of(rows), bias.Config())
    assert found is not None
    assert found.numbers["groups"] == {"ethnicity: black people": 1}


def test_the_test_is_fishers_where_few_are_expected() -> None:
    assert bias.p_value([[3, 1], [2, 10]]) == pytest.approx(fisher_exact([[3, 1], [2, 10]]).pvalue)
    many = [[30, 20], [25, 60]]
    assert bias.p_value(many) == pytest.approx(chi2_contingency(many, correction=True).pvalue)
    assert bias.p_value([[0, 5], [0, 5]]) == 1.0


def test_the_lists_are_reduced_to_words_and_name_each_group_once() -> None:
    from tunewright.data.near import words_of

    each = [term for groups in TERMS.values() for terms in groups.values() for term in terms]
    assert all(term == words_of(term) for term in each)
    assert len(each) == len(set(each))
    assert max(term.count(" ") for term in each) == 1  # what is looked for are words and pairs of them
