"""`eval review`, with what a person types on stdin, and with its page."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import httpx
import pytest

from tests.cli.command import Outcome, spawn, tunewright
from tests.evaluate.reviewing.made import CHALLENGER, CHAMPION
from tests.lifecycle.measured import measured
from tunewright.store import Workspace


@pytest.fixture
def home(tmp_path: Path) -> Path:
    measured(Workspace.open(tmp_path / "ws"))
    return tmp_path / "ws"


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unchanged") / "ws"
    measured(Workspace.open(folder))
    return folder


def _review(home: Path, typed: str, *more: str | Path) -> Outcome:
    return tunewright("eval", "review", "bank", "--terminal", "--workspace", home, *more, stdin=typed)


def test_pairs_are_asked_in_the_terminal_and_gone_on_with(home: Path, tmp_path: Path) -> None:
    training = tmp_path / "training.jsonl"
    item = {"question": "Open?", "left": "From nine.", "right": "Hours.", "choice": "left", "why": "It answers."}
    training.write_text(json.dumps(item), "utf-8")
    asked = ["--rows", "4", "--rater", "anna", "--training", training, "--controls", "1"]
    first = _review(home, "1\nc\nnice\n2\ns\nforeign\nu\nnonsense\n", *asked)
    assert first.code == 0, first.err
    assert "That is right: first better. It answers." in first.err
    assert "You got 1 of 1 practice items right." in first.err
    assert "Took the last answer back." in first.err
    assert "'nonsense' is no label" in first.err
    assert "anna: 2 of 6 answered." in first.out
    assert max(len(line) for line in first.err.splitlines()) <= 80
    second = _review(home, "1\n3\n4\nequally good\n", *asked, "--json")
    assert second.document["raters"] == [{"rater": "anna", "answered": 6, "asked": 6}]
    for secret in ("tuned", "base", "zebra", "row"):
        assert secret not in first.err + second.err
    results = tunewright("eval", "review", "results", second.document["session"], "--workspace", home, "--json")
    found = results.document
    assert (found["rows"], found["raters"][0]["finished"], found["raters"][0]["repeats"]) == (4, True, 1)
    assert sum(found["votes"].values()) == 4


def test_scales_are_asked_one_after_the_other(home: Path) -> None:
    asked = ["--kind", "rating", "--criteria", "clarity,tone", "--rows", "1", "--rater", "anna"]
    outcome = _review(home, "4\n5\nu\n7\ns\nforeign\n", *asked, "--json")
    assert outcome.code == 0, outcome.err
    assert "Understood at once" in outcome.err
    assert "'7' is no label" in outcome.err
    results = tunewright("eval", "review", "results", outcome.document["session"], "--workspace", home)
    assert "No answer counts yet." in results.out  # taken back, and then skipped
    assert _review(home, "4\n5\n", *asked).code == 0
    shown = tunewright("eval", "review", "results", outcome.document["session"], "--workspace", home)
    assert re.search(r"(tuned|base) +4\.00", shown.out)
    assert max(len(line) for line in shown.out.splitlines() if "tunewright" not in line) <= 80


def test_results_go_to_the_report_and_to_a_file(home: Path, tmp_path: Path) -> None:
    session = _review(home, "1\n" * 5, "--rows", "4", "--rater", "anna", "--controls", "1", "--json").document[
        "session"
    ]
    _review(home, "1\n2\n", "--rows", "4", "--rater", "ben", "--controls", "1")
    given = ["eval", "review", "results", session[:6], "--workspace", home]
    shown = tunewright(*given)
    assert shown.code == 0, shown.err
    assert "Krippendorff's alpha" in shown.out
    assert "so far" in shown.out
    assert max(len(line) for line in shown.out.splitlines() if "tunewright" not in line) <= 80
    attached = tunewright(*given, "--attach", "--export", tmp_path / "said.csv", "--json")
    report = attached.document["attached"]["report"]
    assert "People prefer the tuned model to the base model" in Path(report).read_text("utf-8")
    assert attached.document["exported"]["ratings"] == 6
    listed = tunewright("eval", "review", "list", "--workspace", home)
    assert session in listed.out
    assert "anna, ben" in listed.out


def test_the_page_is_served_until_ctrl_c(home: Path, tmp_path: Path) -> None:
    given = [
        "eval",
        "review",
        "bank",
        "--workspace",
        home,
        "--rows",
        "3",
        "--port",
        "0",
        "--rater",
        "anna",
        "--rater",
        "ben",
    ]
    process = spawn(*given, cwd=tmp_path)
    try:
        assert process.stderr is not None
        links = {}
        while len(links) < 2:
            line = process.stderr.readline()
            assert line, "the server ended"
            if found := re.match(r"\s+(\w+): (http://127\.0\.0\.1:\d+/enter/\S+)", line):
                links[found[1]] = found[2]
        own = {"origin": links["ben"].partition("/enter")[0]}
        with httpx.Client(follow_redirects=True, headers=own, trust_env=False) as ben:
            assert "Begin as ben" in ben.get(links["ben"]).text
            page = ben.post(links["ben"], data={"go": "1"}).text
            assert "1 of 4" in page
            fields = dict(re.findall(r'name="(code|task)" value="([^"]*)"', page))
            assert "2 of 4" in ben.post(f"{own['origin']}/answer", data={**fields, "choice": "tie"}).text
        assert not any(secret in page for secret in (CHAMPION, CHALLENGER, "tuned", "base", "row3"))
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0
    assert "ben: 1 of 4 answered." in out
    assert "enter/" not in out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["bamk"], "'bamk' is no file, and no answers are stored under it"),
        (["bank", "--kind", "duel"], "pairwise or rating, and not 'duel'"),
        (["bank", "--kind", "rating"], "A rating needs criteria"),
        (["bank", "--terminal", "--rater", "a", "--rater", "b"], "one rater rates"),
        (["bank", "--rater", "../x"], "cannot name a rater"),
        (["bank", "--rater", "a", "--rater", "A"], "Two raters have one name"),
        (["results", "ffffffff"], "No review session is called 'ffffffff'"),
        (["bank", "--training", "absent.jsonl"], "cannot be read"),
    ],
)
def test_wrong_input_exits_two(unchanged: Path, given: list[str], said: str) -> None:
    outcome = tunewright("eval", "review", *given, "--workspace", unchanged)
    assert outcome.code == 2
    assert said in " ".join(outcome.err.split())
    assert not (unchanged / "reviews").exists()


def test_a_port_that_is_taken_is_said(home: Path) -> None:
    from tunewright.studio.serving import listen

    with listen(0) as taken:
        taken.listen()
        port = str(taken.getsockname()[1])
        outcome = tunewright("eval", "review", "bank", "--workspace", home, "--rater", "anna", "--port", port)
    assert outcome.code == 2
    assert f"Port {port} is taken" in outcome.err
