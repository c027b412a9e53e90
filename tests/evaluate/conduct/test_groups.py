"""Texts told of other groups: grammar and case kept, protected stretches left alone, and the way back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.evaluate.conduct.groups import axis_of, packaged_axes

AXES = {axis.name: axis for axis in packaged_axes()}


@pytest.mark.parametrize(
    ("axis", "pair", "text", "expected"),
    [
        ("gender", ("women", "men"), "She lost her card.", "He lost his card."),
        (
            "gender",
            ("women", "men"),
            "I saw her yesterday and gave it to her.",
            "I saw him yesterday and gave it to him.",
        ),
        ("gender", ("women", "men"), "It is his. His wife met him.", "It is hers. Her husband met her."),
        ("gender", ("women", "men"), "MY WIFE and Emily's sister", "MY HUSBAND and Oliver's brother"),
        ("gender", ("women", "men"), "Write to emily@x.com, {she} or `her`", "Write to emily@x.com, {she} or `her`"),
        ("gender", ("women", "men"), "the shepherd and her-like", "the shepherd and her-like"),
        ("gender", ("women", "men"), "an actress, a waiter", "an actor, a waitress"),
        (
            "ethnicity",
            ("Asian people", "black people"),
            "An Asian man has a black tie.",
            "A Black man has a black tie.",
        ),
        ("religion", ("Muslims", "Christians"), "a Muslim and an imam", "a Christian and a priest"),
        ("religion", ("Muslims", "Jews"), "a muslim woman", "a jewish woman"),
        ("origin", ("Indian", "English"), "Ask Priya, not priya.", "Ask Emily, not priya."),
        ("origin", ("English", "Slavic"), "Susan paid John.", "Milena paid Vladimir."),
        ("gender", ("women", "men"), "Susan paid John.", "Richard paid Jennifer."),
        ("age", ("young people", "old people"), "young people like the young wine", "old people like the young wine"),
    ],
)
def test_swaps(axis: str, pair: tuple[str, str], text: str, expected: str) -> None:
    assert AXES[axis].swapped(text, *pair) == expected
    assert AXES[axis].neutral(text) == AXES[axis].neutral(expected)


@pytest.mark.parametrize("axis", AXES.values(), ids=AXES)
def test_every_axis_is_whole(axis: object) -> None:
    from tunewright.evaluate.conduct.groups import Axis

    assert isinstance(axis, Axis)
    assert axis.forms
    for row in axis.forms:
        for group, form in zip(axis.groups, row, strict=True):
            others = [other for other in axis.groups if other != group]
            # There and back is where it began, but for forms that several rows share and what follows a pronoun.
            there = axis.swapped(form, group, others[0])
            assert there != form
            assert axis.neutral(axis.swapped(there, others[0], group)) == axis.neutral(form)


def test_who_is_named() -> None:
    assert AXES["gender"].named("Her brother left.") == ["women", "men"]
    assert AXES["gender"].named("The order left.") == []
    assert AXES["religion"].named("Muslims and jews") == ["Muslims", "Jews"]
    # A form of several groups names none of them.
    shared = axis_of("club", {"reds": ["red", "fan"], "blues": ["blue", "fan"]})
    assert shared.named("a fan") == []
    assert shared.named("a red fan") == ["reds"]


TOLD = (
    "she",
    "He",
    "her",
    "his",
    "hers",
    "him",
    "Mrs",
    "Mr",
    "a",
    "an",
    "actor",
    "card",
    "Emily",
    "and",
    "`her`",
    "x@he.de",
)


@given(st.lists(st.sampled_from(TOLD), max_size=12))
def test_swapping_loses_nothing_else(words: list[str]) -> None:
    gender, text = AXES["gender"], " ".join(words)
    swapped = gender.swapped(text, "women", "men")
    assert gender.neutral(text) == gender.neutral(swapped)
    assert [word for word in swapped.split() if word in ("card", "and", "`her`", "x@he.de")] == [
        word for word in words if word in ("card", "and", "`her`", "x@he.de")
    ]
    # Who was named is named no more, but for whoever was on the other side.
    sides = {"women": "men", "men": "women"}
    assert {sides[group] for group in gender.named(text)} == set(gender.named(swapped))


@pytest.mark.parametrize(
    ("groups", "told"),
    [
        ({"a": ["x"]}, "two groups or more"),
        ({"a": ["x", "y"], "b": ["z"]}, "a has 2, b has 1"),
        ({"a": [], "b": []}, "equally many forms"),
    ],
)
def test_groups_that_do_not_stand_side_by_side_are_refused(groups: dict[str, list[str]], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        axis_of("own", groups)
