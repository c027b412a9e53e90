"""Reviews of answers in a workspace: which answers a name means, and findings that come after the run's end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.evaluate.reviewing.made import answers, prefer
from tests.lifecycle.measured import SYSTEMS, measured
from tests.lifecycle.report_samples import support_desk
from tunewright.base.errors import DataError, InputError
from tunewright.evaluate import store_answers
from tunewright.evaluate.reviewing.rater import Rater
from tunewright.evaluate.reviewing.results import results_of
from tunewright.lifecycle.reporting import PAGE, read_facts, write_pages
from tunewright.lifecycle.reviewing import Asked, attach_results, find_answers, open_session
from tunewright.store import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "ws")


def test_releases_runs_and_hashes_name_answers(workspace: Workspace) -> None:
    run = measured(workspace)
    for word in ("bank", "bank@1", run, run[:15]):
        found = find_answers(workspace, word)
        assert (found.run, tuple(found.answers)) == (run, SYSTEMS)
    by_hash = find_answers(workspace, found.artifact[:12])
    assert (by_hash.artifact, by_hash.run) == (found.artifact, run)
    workspace.start_run("young", "train", {})  # not measured yet
    for word in ("bamk", "bank@7", "young"):
        with pytest.raises(InputError):
            find_answers(workspace, word)


def test_files_of_any_system_are_looked_at_too(workspace: Workspace, tmp_path: Path) -> None:
    rows = [
        {"id": f"r{row}", "question": f"What is {row}?", "prediction": f"{system} {row}", "model": system}
        for system in ("ours", "theirs")
        for row in range(5)
    ]
    both, one = tmp_path / "both.jsonl", tmp_path / "one.jsonl"
    both.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    one.write_text("".join(json.dumps({**row, "model": "x"}) + "\n" for row in rows[:4]), "utf-8")
    assert open_session(workspace, [str(both)], None, Asked()).systems == ("ours", "theirs")
    found = open_session(workspace, [str(both)], str(one), Asked(kind="rating", criteria=("tone",)))
    assert (found.systems, found.about["shared"], found.about["unshared"]) == (("both.jsonl", "one.jsonl"), 4, 1)
    with pytest.raises(InputError, match="is to be compared with is not clear"):
        open_session(workspace, [str(one)], None, Asked())


def test_whose_answers_are_compared(workspace: Workspace) -> None:
    measured(workspace)
    assert open_session(workspace, ["bank"], None, Asked()).systems == ("tuned", "base")
    assert open_session(workspace, ["bank"], "base_few_shot", Asked()).systems == ("tuned", "base_few_shot")
    other = measured(workspace, "older", systems=("tuned",))
    assert other
    with pytest.raises(InputError, match="gave the same answer to all"):
        open_session(workspace, ["bank"], "older", Asked())
    with pytest.raises(InputError, match="to be compared with is not clear"):
        open_session(workspace, ["older"], None, Asked())
    rated = open_session(workspace, ["bank", "older"], None, Asked(kind="rating", criteria=("clarity",)))
    assert rated.systems == ("bank", "older")
    with pytest.raises(InputError, match="'bank' is named twice"):
        open_session(workspace, ["bank"], "bank", Asked())


def test_settings_are_checked(workspace: Workspace, tmp_path: Path) -> None:
    measured(workspace)
    empty = tmp_path / "empty.md"
    empty.write_text(" \n", "utf-8")
    for asked, said in (
        (Asked(kind="rating"), "A rating needs criteria"),
        (Asked(criteria=("clarity",)), "without criteria"),
        (Asked(kind="rating", criteria=("claritty",)), "Did you mean 'clarity'"),
        (Asked(kind="rating", criteria=("tone", "tone")), "named twice"),
        (Asked(guidelines=tmp_path / "absent.md"), "cannot be read"),
        (Asked(guidelines=empty), "Guidelines have text"),
        (Asked(raters=("../anna",)), "cannot name a rater"),
        (Asked(raters=("anna",), overlap=2), "cannot be seen by 2 of 1"),
    ):
        with pytest.raises(InputError, match=said):
            open_session(workspace, ["bank"], None, asked)
    faithful = open_session(workspace, ["bank"], None, Asked(kind="rating", criteria=("faithfulness",)))
    assert faithful.settings.shows_reference  # it cannot be judged without


def test_documents_are_nothing_to_look_at(workspace: Workspace) -> None:
    stored = workspace.put(
        "answers",
        lambda folder: store_answers({"tuned": answers("tuned")}, folder),
        manifest={"answer_kind": "document"},
    )
    with pytest.raises(InputError, match="Documents were scored and not answered"):
        find_answers(workspace, stored.hash)


def test_what_people_said_stands_in_the_report_afterwards(workspace: Workspace) -> None:
    run = measured(workspace)
    made = open_session(workspace, ["bank"], None, Asked(rows=6, controls=0))
    with Rater.open(made, "anna") as rater:
        for _ in range(5):
            prefer(rater, "tuned")
    before = workspace.artifact(workspace.find_run(run).manifest["stages"]["report"]["report"], "report")
    attached = attach_results(workspace, results_of(made))
    assert attached.releases == ("bank@1",)
    assert attached.report is not None
    page = attached.report.read_text("utf-8")
    assert "People prefer the tuned model to the base model" in page
    assert "5 of 6, not finished" in page
    assert before.path.joinpath(PAGE).exists()  # the page of before stays
    stages = workspace.find_run(run).manifest["stages"]
    finding = stages["evaluate"]["evaluation"]["findings"]["review_win_rate"]
    assert (finding["value"], finding["n"]) == (1, 5)
    assert stages["evaluate"]["evaluation"]["tuned"]["accuracy"]["value"] == 0.5  # scores stay as they were
    assert workspace.find_release("bank").evaluation["findings"]["review_win_rate"]["n"] == 5
    kept = json.loads((workspace.find_run(run).folder / "evaluation.json").read_text("utf-8"))
    assert kept["findings"]["review_win_rate"] == finding
    # Its evidence is a parent, and that comes from the answers.
    tree = workspace.lineage(stages["report"]["report"], "report")
    review = next(node for node in tree.parents if node.kind == "review")
    assert [node.kind for node in review.parents] == ["answers"]
    secret = made.secret
    stored = workspace.artifact(review.hash, "review").path
    assert all(secret not in file.read_text("utf-8") for file in stored.iterdir())

    with Rater.open(made, "anna") as rater:
        prefer(rater, "base")
    again = attach_results(workspace, results_of(made))
    assert again.report is not None
    told = "People prefer the tuned model to the base model"
    assert again.report.read_text("utf-8").count(told) == page.count(told)
    assert workspace.find_release("bank").evaluation["findings"]["review_win_rate"]["n"] == 6


def test_a_page_is_the_same_when_written_from_its_facts(tmp_path: Path) -> None:
    facts = support_desk()
    write_pages(tmp_path / "a", facts)
    write_pages(tmp_path / "b", read_facts(tmp_path / "a"))
    assert (tmp_path / "a" / PAGE).read_bytes() == (tmp_path / "b" / PAGE).read_bytes()


def test_a_report_without_facts_is_left_and_said_so(workspace: Workspace) -> None:
    run = workspace.find_run(measured(workspace))
    old = workspace.put("report", lambda folder: (folder / PAGE).write_text("old"), manifest={}, producer=run.id)
    stages = run.manifest["stages"]
    run.update_manifest(stages={**stages, "report": {"report": old.hash}})
    made = open_session(workspace, ["bank"], None, Asked(rows=3, controls=0))
    with Rater.open(made, "anna") as rater:
        prefer(rater, "tuned")
    attached = attach_results(workspace, results_of(made))
    assert attached.report is None
    assert "before its facts were kept" in attached.note
    assert "review_win_rate" in run.manifest["stages"]["evaluate"]["evaluation"]["findings"]


def test_answers_of_no_run_have_no_report(workspace: Workspace) -> None:
    given = {"tuned": answers("zebra-champion"), "base": answers("base")}
    stored = workspace.put("answers", lambda folder: store_answers(given, folder), manifest={"answer_kind": "text"})
    made = open_session(workspace, [stored.hash], None, Asked(rows=3))
    with Rater.open(made, "anna") as rater:
        prefer(rater, "tuned")
    with pytest.raises(InputError, match="of no run of this workspace"):
        attach_results(workspace, results_of(made))


def test_a_broken_rater_file_is_named(workspace: Workspace) -> None:
    measured(workspace)
    made = open_session(workspace, ["bank"], None, Asked(rows=3))
    Rater.open(made, "anna").close()
    made.file_of("anna").write_text("nonsense\n", "utf-8")
    with pytest.raises(DataError, match=r"anna\.jsonl:1"):
        results_of(made)
