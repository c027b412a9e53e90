"""The report as a whole: complete, self-contained, safe, and true to its facts."""

from __future__ import annotations

import dataclasses
import html
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lifecycle.report_samples import banking, support_desk
from tunewright.lifecycle.report import ReportFacts, render_report

SECTIONS = [
    *("verdict", "key-numbers", "sources", "cleaning", "refused", "split", "training", "scores", "errors", "answers"),
    *("recipe", "cost", "lineage", "reproduce"),
]
VOID = {"meta", "link", "br", "hr", "img", "input", "wbr", "col"}


class Page(HTMLParser):
    """Checks that every element is closed in order; collects ids, attributes, cells and texts."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], f"</{tag}> closes nothing that is open"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.texts))


@pytest.fixture(scope="module")
def desk() -> Page:
    return Page(render_report(support_desk()))


@pytest.fixture(scope="module")
def bank() -> Page:
    return Page(render_report(banking()))


def test_every_section_is_there_in_order(desk: Page) -> None:
    assert [name for name in desk.ids if name in SECTIONS] == SECTIONS


def test_ids_are_unique_and_links_lead_somewhere(desk: Page, bank: Page) -> None:
    for page in (desk, bank):
        assert len(page.ids) == len(set(page.ids))
        targets = [value[1:] for tag, name, value in page.attributes if tag == "a" and name == "href"]
        assert targets
        assert set(targets) <= set(page.ids)
        labelled = [name for _, key, value in page.attributes if key == "aria-labelledby" for name in value.split()]
        assert set(labelled) <= set(page.ids)


@pytest.mark.parametrize("facts", [support_desk(), banking(), ReportFacts(name="empty")], ids=lambda facts: facts.name)
def test_asks_the_network_for_nothing(facts: ReportFacts) -> None:
    page = render_report(facts)
    assert "<script" not in page
    markup = re.sub(r">[^<]*<", "><", re.sub(r"<style>.*?</style>", "", page, flags=re.S))
    assert not re.search(r"https?:|//|src=|srcset=|xlink|@import", markup)
    styles = "".join(re.findall(r"<style>(.*?)</style>", page, flags=re.S))
    assert styles
    assert not re.search(r"url\(|@import|https?:|@font-face", styles)
    links = {value for tag, name, value in Page(page).attributes if name in ("href", "action", "data", "poster")}
    assert all(value.startswith("#") or value == "data:," for value in links)


def test_the_browser_is_told_to_fetch_nothing(desk: Page) -> None:
    policy = next(value for tag, name, value in desk.attributes if tag == "meta" and "default-src" in value)
    assert policy.startswith("default-src 'none'")


HOSTILE = '<script>alert("x")</script><img src=https://evil.example/x.png onerror=alert(1)>&amp;\'"]]>'


def test_escapes_whatever_the_data_holds() -> None:
    facts = support_desk()
    one = {"prompt": HOSTILE, "reference": HOSTILE, "before": HOSTILE, "after": f'{{"a": "{HOSTILE[:8]}"}}'}
    dataset: dict[str, Any] = {
        **facts.dataset,
        "sources": [{"path": HOSTILE, "rows": 1, "refused": 0, "sha256": HOSTILE}],
        "edits": [{"row": HOSTILE, "step": HOSTILE, "field": HOSTILE, "before": HOSTILE, "after": HOSTILE}],
        "refused": [{"reason": HOSTILE, "count": 1, "places": [HOSTILE]}],
    }
    evaluation = {
        **facts.evaluation,
        "confusion": {"labels": [HOSTILE, "b"], "counts": [[1, 2], [0, 3]]},
        HOSTILE: {"intent_accuracy": {"value": 0.5, "low": 0.4, "high": 0.6, "n": 9}, HOSTILE: {"value": 1.0}},
    }
    page = render_report(
        dataclasses.replace(
            facts,
            name=HOSTILE,
            goal=HOSTILE,
            recipe_yaml=HOSTILE,
            examples=[one],
            dataset=dataset,
            evaluation=evaluation,
            lineage=[(HOSTILE, HOSTILE)],
            training={HOSTILE: HOSTILE},
            diagnosis=HOSTILE,
            environment={HOSTILE: HOSTILE, "versions": {HOSTILE: HOSTILE}},
            timings=[(HOSTILE, 1.0)],
        )
    )
    parsed = Page(page)
    assert "script" not in parsed.tags
    assert "img" not in parsed.tags
    assert not any(name.startswith("on") for _, name, _ in parsed.attributes)
    assert HOSTILE in "".join(parsed.texts)


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_any_answer_reads_back_as_it_was(prompt: str, answer: str) -> None:
    page = render_report(
        ReportFacts(
            name="x",
            examples=[{"prompt": prompt, "reference": "r", "before": answer, "after": "r", "after_ok": True}],
        )
    )
    assert f'<div class="asked">{_escaped(prompt)}</div>' in page
    if answer.strip():
        assert f"<span>{_escaped(answer)}</span>" in page


def test_half_a_letter_does_not_break_the_page() -> None:
    # A model may write half of a surrogate pair; as UTF-8 it could not be saved.
    answer = '{"a": "\\ud83d"}'
    page = render_report(
        ReportFacts(name="x", examples=[{"reference": '{"a": 1}', "before": answer, "after": "\ud83d"}])
    )
    assert "\\ud83d" in page.encode("utf-8").decode()


def _escaped(text: str) -> str:
    return html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")


def test_says_the_verdict_and_by_how_much(desk: Page, bank: Page) -> None:
    assert "Success: all 3 conditions met" in desk.text
    assert "Whole record right at least 80% 87.1% 7.1 points above ✓ reached" in _spaced(desk)
    assert "Success not reached: 1 of 2 conditions missed" in bank.text
    assert "✗ not reached" in bank.text


def test_says_the_paired_test_in_words(desk: Page, bank: Page) -> None:
    assert (
        "The tuned model is right where the base is wrong on 186 rows, the other way round on 2; "
        "chance would do this less than once in 10,000 times."
    ) in desk.text
    # Given as base against tuned, it is told from the tuned model's side.
    assert "right where the base is wrong on 2,740 rows, the other way round on 3;" in bank.text


def test_shows_values_with_intervals_and_n(desk: Page) -> None:
    spaced = _spaced(desk)
    assert "0.0% → 87.1%" in spaced
    assert "tuned 82.8–91.3%" in spaced  # 0.8708 ± 1.96 · sqrt(0.8708 · 0.1292 / 240) = 0.8284 … 0.9132
    assert "240 held-out rows" in spaced
    assert "bag-of-words classifier 81.2%" in spaced


def test_tells_what_went_in_and_what_was_done_to_it(desk: Page) -> None:
    spaced = _spaced(desk)
    for text in ("2,013 read", "tickets.csv 1,104 4 231.9 kB", "EMAIL 210", "the field 'intent' is empty 9",
                 "tickets.csv:1003 … and 6 more", "row dropped", "train 1,501 83.3%"):  # fmt: skip
        assert text in spaced


def test_marks_what_is_learned() -> None:
    page = render_report(support_desk())
    assert (
        "assistant\n<mark>{&#34;intent&#34;: &#34;cancel&#34;, &#34;product&#34;: null}&lt;|im_end|&gt;</mark>" in page
    )


def test_shows_scores_with_and_without_leaked_rows(bank: Page) -> None:
    assert "7 rows of the test set also stand in train" in bank.text
    assert "All 3,080 rows" in bank.text
    assert "Without them: 3,073 rows" in bank.text


def test_many_labels_give_a_matrix_and_the_worst_confusions(bank: Page) -> None:
    assert "most frequent of" in bank.text
    assert "Expected labels against answers" in bank.text
    assert not any(tag == "text" and name == "class" and "count" in value for tag, name, value in bank.attributes)


def test_tallies_the_examples_honestly(desk: Page) -> None:
    assert "Of these 7: 6 wrong before and right after, 1 wrong both times." in desk.text


def test_an_empty_run_still_makes_a_whole_page() -> None:
    page = Page(render_report(ReportFacts(name="nothing-yet")))
    assert [name for name in page.ids if name in SECTIONS] == [name for name in SECTIONS if name != "errors"]
    for text in ("No bar was set", "No evaluation was recorded", "No loss was recorded", "tunewright run recipe.yaml"):
        assert text in page.text


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(ReportFacts) if field.name != "name"])
@pytest.mark.parametrize("sample", [support_desk, banking], ids=lambda sample: sample.__name__)
def test_any_part_may_be_absent(sample: Any, field: str) -> None:
    default = getattr(ReportFacts(name="x"), field)
    facts = sample() if sample is support_desk else sample(labels=14, per_label=3)  # a small matrix is drawn faster
    Page(render_report(dataclasses.replace(facts, **{field: default})))


@pytest.mark.parametrize("system", ["base", "base_few_shot", "bag_of_words", "tuned"])
def test_any_system_may_be_absent(system: str) -> None:
    facts = support_desk()
    left = {key: value for key, value in facts.evaluation.items() if key not in (system, "comparisons")}
    page = Page(render_report(dataclasses.replace(facts, evaluation=left)))
    headers = {"base": "Base model", "base_few_shot": "Base, few-shot", "bag_of_words": "Bag of words"}
    table = page.text.partition("Every system on the same")[2].partition("What the metrics mean")[0]
    assert headers.get(system, "Tuned model") not in table


def test_no_refused_rows_and_no_validation_are_said() -> None:
    text = Page(render_report(banking())).text
    assert "No row was refused." in text
    assert "No validation loss was measured." in text


def test_losses_that_are_no_numbers_are_counted() -> None:
    curve = [(1, 2.0), (2, float("nan")), (3, 1.0), (4, float("inf"))]
    text = Page(render_report(ReportFacts(name="x", train_curve=curve))).text
    assert "2 losses were no finite number and are not drawn." in text


def test_tables_are_captioned_and_their_heads_scoped(desk: Page, bank: Page) -> None:
    for page in (desk, bank):
        heads = [attributes for attributes in page.tags if attributes == "th"]
        scoped = [value for tag, name, value in page.attributes if tag == "th" and name == "scope"]
        assert len(heads) == len(scoped)
        # The verdict's table stands right below its heading, which says what a caption would.
        assert page.tags.count("caption") == page.tags.count("table") - 1


def test_text_contrast_is_at_least_aa_in_both_schemes() -> None:
    page = render_report(ReportFacts(name="x"))
    schemes = re.findall(r":root \{(.*?)\}", page, flags=re.S)
    assert len(schemes) == 3  # light, dark, print
    for scheme in schemes:
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", scheme))
        for back in ("paper", "raised"):
            for ink in ("ink", "quiet", "good", "bad", "tuned", "base"):
                assert _contrast(colours[ink], colours[back]) >= 4.5, (ink, back)
            for mark in ("few", "words", "other"):
                assert _contrast(colours[mark], colours[back]) >= 3, (mark, back)
        for back in ("good-back", "bad-back"):
            for ink in ("ink", "quiet", "good", "bad"):
                assert _contrast(colours[ink], colours[back]) >= 4.5, (ink, back)


def _contrast(one: str, other: str) -> float:
    """WCAG 2.2 contrast ratio."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _spaced(page: Page) -> str:
    return re.sub(r"\s+", " ", " ".join(page.texts))
