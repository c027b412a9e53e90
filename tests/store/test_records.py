from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.store.processes import ended, program
from tunewright.base.errors import InputError, NoSuchRecordError
from tunewright.store import Workspace, new_id
from tunewright.store.records import Order


def ids(workspace: Workspace, kind: str = "job", **asked: Any) -> list[str]:
    return [record.id for record in workspace.records(kind, **asked).records]


def test_an_id_has_its_prefix_and_cannot_be_guessed() -> None:
    assert re.fullmatch(r"file-[A-Za-z0-9]{24}", new_id("file"))
    assert re.fullmatch(r"batch_[A-Za-z0-9]{24}", new_id("batch_"))
    assert new_id("ftjob-").startswith("ftjob-")
    assert len({new_id("file") for _ in range(100)}) == 100


def test_a_record_is_found_as_it_was_added(workspace: Workspace) -> None:
    before = int(time.time())
    added = workspace.add_record("job", {"status": "queued", "n": (1, 2.5)}, id="job-1", parent="p", project="red")
    assert (added.kind, added.id, added.parent, added.project) == ("job", "job-1", "p", "red")
    assert added.body == {"status": "queued", "n": [1, 2.5]}
    assert before <= added.created_at <= time.time()
    assert workspace.record("job", "job-1") == workspace.record("job", "job-1", project="red") == added
    assert workspace.add_record("job", {}, id="job-2", created_at=17).created_at == 17


def test_what_is_not_there_is_said(workspace: Workspace) -> None:
    workspace.add_record("job", {}, id="job-1", project="red")
    for kind, id, project in [
        ("job", "job-2", None),
        ("file", "job-1", None),
        ("job", "job-1", "blue"),
        ("job", "\0", None),
    ]:
        with pytest.raises(NoSuchRecordError, match=f"No {kind} has the id"):
            workspace.record(kind, id, project=project)
    with pytest.raises(NoSuchRecordError):
        workspace.change_record("job", "job-2", dict)
    with pytest.raises(NoSuchRecordError):
        workspace.remove_record("job", "job-2")


def test_an_id_is_used_once_until_it_is_removed(workspace: Workspace) -> None:
    first = workspace.add_record("job", {"n": 1}, id="job-1")
    with pytest.raises(InputError, match="A job with the id 'job-1' exists already"):
        workspace.add_record("job", {"n": 2}, id="job-1")
    workspace.add_record("file", {}, id="job-1")
    workspace.remove_record("job", "job-1")
    with pytest.raises(NoSuchRecordError):
        workspace.remove_record("job", "job-1")
    again = workspace.add_record("job", {"n": 3}, id="job-1")
    assert again.body == {"n": 3}
    assert again.seq > first.seq
    assert ids(workspace) == ["job-1"]


def test_a_change_is_whole_or_absent(workspace: Workspace) -> None:
    added = workspace.add_record("job", {"status": "queued", "n": 1}, id="job-1")

    def broken(body: dict[str, Any]) -> dict[str, Any]:
        body["status"] = "half"
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        workspace.change_record("job", "job-1", broken)
    assert workspace.record("job", "job-1") == added
    changed = workspace.change_record("job", "job-1", lambda body: {**body, "status": "running"})
    assert changed.body == {"status": "running", "n": 1}
    assert workspace.record("job", "job-1") == changed


def test_changes_from_several_processes_are_all_kept(workspace: Workspace) -> None:
    code = """
    import sys
    from tunewright.store import Workspace
    workspace = Workspace.open(sys.argv[1])
    for _ in range(10):
        workspace.change_record("job", "job-1", lambda body: {"n": body["n"] + 1})
    """
    workspace.add_record("job", {"n": 0}, id="job-1")
    for process in [program(code, workspace.root) for _ in range(2)]:
        ended(process)
    assert workspace.record("job", "job-1").body == {"n": 20}


@pytest.mark.parametrize("text", ["a\0b", "\ud800", {"\udfff": 1}, ["\0"], {"deep": [{"er": "\0"}]}])
def test_a_text_that_no_client_could_be_sent_is_refused(workspace: Workspace, text: Any) -> None:
    with pytest.raises(InputError, match="NUL character or half a surrogate"):
        workspace.add_record("job", {"text": text}, id="job-1")
    with pytest.raises(NoSuchRecordError):
        workspace.record("job", "job-1")


def test_pages_follow_one_another_in_both_orders(workspace: Workspace) -> None:
    for number in range(5):
        workspace.add_record(
            "job", {}, id=f"job-{number}", project="red" if number % 2 else "blue", parent=f"p{number % 2}"
        )
    page = workspace.records("job", limit=2)
    assert ([record.id for record in page.records], page.has_more) == (["job-4", "job-3"], True)
    assert ids(workspace, limit=2, after="job-3") == ["job-2", "job-1"]
    page = workspace.records("job", limit=2, after="job-1")
    assert ([record.id for record in page.records], page.has_more) == (["job-0"], False)
    assert ids(workspace, order="asc", after="job-2") == ["job-3", "job-4"]
    assert ids(workspace, project="red") == ["job-3", "job-1"]
    assert ids(workspace, parent="p0", order="asc") == ["job-0", "job-2", "job-4"]
    assert ids(workspace, parent="p0", project="red") == []
    page = workspace.records("job", limit=0)
    assert (page.records, page.has_more) == ([], True)
    assert ids(workspace, "file") == []


def test_an_unknown_place_to_go_on_from_is_refused(workspace: Workspace) -> None:
    workspace.add_record("job", {}, id="job-1", project="red")
    for after, project in [("job-2", None), ("job-1", "blue"), ("\0", None)]:
        with pytest.raises(InputError, match="No job has the id"):
            workspace.records("job", after=after, project=project)


def test_a_reader_goes_on_behind_a_removed_record(workspace: Workspace) -> None:
    for number in range(4):
        workspace.add_record("job", {}, id=f"job-{number}")
    workspace.remove_record("job", "job-2")
    assert ids(workspace, after="job-2") == ["job-1", "job-0"]
    assert ids(workspace, after="job-2", order="asc") == ["job-3"]


def test_the_order_is_that_of_adding_when_the_clock_goes_back(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = 2_000_000_000.0
    monkeypatch.setattr(time, "time", lambda: moment)
    for number in range(3):
        workspace.add_record("job", {}, id=f"job-{number}")
        moment -= 86_400
    assert ids(workspace) == ["job-2", "job-1", "job-0"]
    assert ids(workspace, after="job-1", order="asc") == ["job-2"]
    assert workspace.record("job", "job-2").created_at == 2_000_000_000 - 2 * 86_400


# Each field is a text, something else, null, or not there.
FIELDS: dict[str, dict[str, Any]] = {
    "text": {"status": "queued", "metadata": {"team": "a", "a.b": "dotted", 'qu"ote': "é"}},
    "number": {"status": 1, "metadata": {"team": 1}},
    "null": {"status": None, "metadata": {"team": None}},
    "no metadata": {"status": "done", "metadata": None},
    "nothing": {},
    "list": {"status": ["queued"], "metadata": ["team"]},
}


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ({"status": "queued"}, ["text"]),
        ({"status": "1"}, []),
        ({"status": None}, ["null", "nothing"]),
        ({"metadata": None}, ["no metadata", "nothing"]),
        ({"metadata.team": "a"}, ["text"]),
        ({"metadata.team": "1"}, []),
        ({"metadata.team": None}, ["null", "no metadata", "nothing", "list"]),
        ({"metadata.a.b": "dotted"}, ["text"]),
        ({'metadata.qu"ote': "é"}, ["text"]),
        ({"metadata.'; DROP TABLE records; --": "x"}, []),
        ({"metadata.team": "a", "status": "queued"}, ["text"]),
        ({"metadata.team": "a", "status": "done"}, []),
        ({"metadata.team": "\0"}, []),
        ({"metadata.\ud800": "x"}, []),
    ],
)
def test_records_are_chosen_by_fields(workspace: Workspace, where: dict[str, str | None], found: list[str]) -> None:
    for name, body in FIELDS.items():
        workspace.add_record("job", body, id=name)
    assert ids(workspace, where=where, order="asc") == found


texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=6)


@given(key=texts, value=texts, other=texts)
@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_field_that_was_stored_is_found_by_its_text(workspace: Workspace, key: str, value: str, other: str) -> None:
    id = new_id("job")
    workspace.add_record("job", {"metadata": {key: value}}, id=id, parent=id)
    assert ids(workspace, parent=id, where={f"metadata.{key}": value}) == [id]
    assert ids(workspace, parent=id, where={f"metadata.{key}": other}) == ([id] if other == value else [])


class Reading(RuleBasedStateMachine):
    """A reader turns pages while others add and remove records."""

    workspace: Workspace  # a workspace for all examples; each has a kind of its own

    @initialize(order=st.sampled_from(["asc", "desc"]), before=st.integers(0, 6))
    def begin(self, order: Order, before: int) -> None:
        self.kind = new_id("kind")
        self.order: Order = order
        self.number = 0
        self.present: list[str] = []
        for _ in range(before):
            self.add()
        self.at_first = list(self.present)
        self.removed: set[str] = set()
        self.after: str | None = None
        self.read: list[str] = []
        self.is_over = False

    @rule()
    def add(self) -> None:
        self.number += 1
        id = f"{self.number:04}"
        self.workspace.add_record(self.kind, {}, id=id)
        self.present.append(id)

    @precondition(lambda self: self.present)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(self.present))
        self.workspace.remove_record(self.kind, id)
        self.present.remove(id)
        self.removed.add(id)

    @precondition(lambda self: not self.is_over)
    @rule(limit=st.integers(1, 3))
    def turn(self, limit: int) -> None:
        page = self.workspace.records(self.kind, after=self.after, limit=limit, order=self.order)
        self.read += [record.id for record in page.records]
        if page.records:
            self.after = page.records[-1].id
        self.is_over = not page.has_more

    @invariant()
    def each_is_read_once_and_in_order(self) -> None:
        assert self.read == sorted(set(self.read), reverse=self.order == "desc")

    def teardown(self) -> None:
        while hasattr(self, "kind") and not self.is_over:
            self.turn(2)
        if hasattr(self, "kind"):
            assert set(self.at_first) - self.removed <= set(self.read)


@pytest.fixture
def reading(workspace: Workspace) -> Iterator[type[Reading]]:
    Reading.workspace = workspace
    yield Reading
    del Reading.workspace


def test_a_reader_meets_each_record_once_whatever_is_added_or_removed(reading: type[Reading]) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    small = settings(deadline=None, max_examples=12, stateful_step_count=12, derandomize=True)
    run_state_machine_as_test(reading, settings=small)


def test_all_records_are_gone_through_page_by_page(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunewright.store.workspace._AT_ONCE", 2)
    for number in range(5):
        workspace.add_record("job", {"status": "even" if number % 2 == 0 else "odd"}, id=f"job-{number}", parent="p")
    workspace.add_record("job", {}, id="job-else", parent="q")
    assert [each.id for each in workspace.each_record("job", parent="p")] == [f"job-{number}" for number in range(5)]
    even = workspace.each_record("job", where={"status": "even"}, order="desc")
    assert [each.id for each in even] == ["job-4", "job-2", "job-0"]
    left = []
    for each in workspace.each_record("job", parent="p"):
        left.append(each.id)
        workspace.remove_record("job", each.id)
    assert left == [f"job-{number}" for number in range(5)]
