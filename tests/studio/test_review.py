"""The pages of a review, as a browser without scripts sees them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from tests.evaluate.reviewing.made import CHALLENGER, CHAMPION, PRACTICE, RATED, session
from tunewright.evaluate.reviewing.material import Material, Row
from tunewright.evaluate.reviewing.rater import Rater, read_given
from tunewright.evaluate.reviewing.session import Session, Settings, begin
from tunewright.studio.review import Desks, review_app

HOME = "http://127.0.0.1:8377"
OWN = {"origin": HOME}


@pytest.fixture
def desks(tmp_path: Path) -> Iterator[Desks]:
    with _open(session(tmp_path, rows=6, count=6, controls=2, training=PRACTICE), "anna", "ben") as made:
        yield made


class _open:  # noqa: N801 - read as a function
    """Raters of a session at their desks."""

    def __init__(self, made: Session, *names: str) -> None:
        self.raters = [Rater.open(made, name) for name in names]
        self.desks = Desks(made, self.raters)

    def __enter__(self) -> Desks:
        return self.desks

    def __exit__(self, *_: object) -> None:
        for rater in self.raters:
            rater.close()


def _client(desks: Desks) -> TestClient:
    return TestClient(review_app(desks), base_url=HOME, raise_server_exceptions=False)


def _enter(desks: Desks, name: str, client: TestClient | None = None) -> TestClient:
    client = client or _client(desks)
    link = desks.links[name]
    assert f"Begin as {name}" in client.get(link).text
    assert client.post(link, data={"go": "1"}, headers=OWN).status_code == 200
    return client


def _fields(page: httpx.Response) -> dict[str, str]:
    """The hidden fields of the page's answer form."""
    return {name: _hidden(page.text, name) for name in ("code", "task")}


def _hidden(text: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', text)
    assert found, text
    return found[1]


def _say(client: TestClient, choice: str = "left", **more: str) -> httpx.Response:
    return client.post("/answer", data={**_fields(client.get("/")), "choice": choice, **more}, headers=OWN)


def test_a_session_from_the_link_to_the_end(desks: Desks) -> None:
    client = _enter(desks, "anna")
    assert "Practice 1 of 2" in client.get("/").text
    feedback = _say(client, "left")
    assert "That is right" in feedback.text
    assert "It answers." in feedback.text
    assert "Not quite" in _say(client, "left").text
    assert "That is too few" in client.get("/feedback").text  # one of two
    for number in range(1, 9):
        page = client.get("/")
        assert f"{number} of 8" in page.text
        _say(client, ("left", "right", "tie", "both_bad")[number % 4], comment="<i>so</i>" if number == 3 else "")
    assert "That was all" in client.get("/").text
    given = read_given(desks.session, "anna")
    assert [each.choice for each in given[2:6]] == ["right", "tie", "both_bad", "left"]
    assert given[4].comment == "<i>so</i>"
    assert "Take my last answer back" in client.get("/").text
    code = _hidden(client.get("/").text, "code")
    assert "was taken back" in client.post("/undo", data={"code": code}, headers=OWN).text
    assert len(read_given(desks.session, "anna")) == 9


class _Everything(HTMLParser):
    """All that a page carries besides the text that is meant to be read."""

    def __init__(self) -> None:
        super().__init__()
        self.carried: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.carried += [tag, *(part or "" for pair in attrs for part in pair)]

    def handle_comment(self, data: str) -> None:
        self.carried.append(data)


def test_nothing_gives_the_systems_away(desks: Desks) -> None:
    """Neither names nor row ids in anything that is sent, and what a page carries is the same for either side."""
    client = _enter(desks, "ben")
    for name in ("left", "right"):
        _say(client, name)
    shapes = set()
    while "That was all" not in (page := client.get("/")).text:
        sent = "\n".join([page.text, str(page.url), str(page.headers), str(client.cookies)])
        for secret in (CHAMPION, CHALLENGER, "champion", "zebra", "quagga", "row", "again", *_ids(desks)):
            assert not re.search(rf"\b{re.escape(secret)}\b", sent.replace('class="row', "")), secret
        # The sides are told apart by their text alone: with it (and codes and counts) cut out, all pages are one.
        told = r"A (sofa|lamp) costs \d+\.|What costs \d+\?"
        bare = re.sub(rf'{told}|[0-9a-f]{{24,}}|value="\d+"|\d+ of \d+', "", page.text)
        shapes.add(re.sub(r'<form method="post" action="/undo">.*?</form>\n', "", bare, flags=re.S))
        _say(client)
    assert len(shapes) == 1


def _ids(desks: Desks) -> list[str]:
    return [row.id for row in desks.session.rows]


def test_texts_cannot_do_anything(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u202e"
    row = Row(id="r", question=evil, reference=evil, answers={CHAMPION: evil, CHALLENGER: ""})
    guidelines = "[x](javascript:alert(3)) ![p](http://evil.example/p.png) <script>alert(4)</script>"
    made = Settings(kind="pairwise", guidelines=guidelines, controls=0, seed=1, shows_reference=True)
    about = {"sources": []}
    folder = tmp_path / "reviews"
    loaded = begin(folder, Material((row,), (CHAMPION, CHALLENGER), 1, 0, 0), made, about)
    with _open(loaded, "anna") as desks:
        client = _enter(desks, "anna")
        for page in (client.get("/"), client.get("/guidelines")):
            tags = _Everything()
            tags.feed(page.text)
            assert "onerror" not in tags.carried
            assert "img" not in tags.carried
            assert not any("javascript:" in each for each in tags.carried)
            assert page.text.count("<script") == 1  # the page's own file
        assert "(an empty answer)" in client.get("/").text


def test_links_are_good_once_and_for_one_browser(desks: Desks) -> None:
    link = desks.links["anna"]
    stranger = _client(desks)
    # Looking at a link does not use it up: mail programs do that.
    assert stranger.get(link).status_code == stranger.get(link).status_code == 200
    anna = _enter(desks, "anna")
    assert anna.get(link).url.path == "/"  # her own browser is led on
    for refused in (stranger.get(link), stranger.post(link, data={"go": "1"}, headers=OWN), stranger.get("/")):
        assert refused.status_code == 403
    assert "ben" not in anna.get("/").text
    for wrong in (
        "/enter/",
        "/enter/x",
        f"{link}x",
        "/enter/%C3%BC",
        "/enter/..%2f..%2fetc",
    ):
        assert stranger.get(wrong).status_code in (403, 404)


def test_a_pass_cannot_be_made_up(desks: Desks) -> None:
    name = desks.cookie_name
    anna = _enter(desks, "anna")
    good = anna.cookies[name]
    nonce, _, code = good.partition(".")
    cookie = next(each for each in anna.cookies.jar if each.name == name)
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "strict"
    for forged in ("", "anna", f"{nonce}.", f".{code}", f"{nonce}.{code[::-1]}", f"{code}.{nonce}"):
        stranger = _client(desks)
        stranger.cookies.set(name, forged)
        assert stranger.get("/").status_code == 403
    again = _client(desks)  # the server was started anew: her browser goes on
    again.cookies.set(name, good)
    assert "Practice 1 of 2" in again.get("/").text


def test_foreign_old_and_double_forms_keep_nothing(desks: Desks) -> None:
    anna, ben = _enter(desks, "anna"), _enter(desks, "ben")
    first, his = _fields(anna.get("/")), _fields(ben.get("/"))
    for fields in ({**first, "code": his["code"]}, {**first, "code": ""}, {"task": first["task"]}):
        assert anna.post("/answer", data={**fields, "choice": "left"}, headers=OWN).status_code == 403
    assert anna.post("/answer", data={**first, "choice": "left"}).status_code == 403  # without an origin
    assert read_given(desks.session, "anna") == []
    for other in (his["task"], "", "0" * 24, "ü"):
        page = anna.post("/answer", data={**first, "task": other, "choice": "left"}, headers=OWN)
        assert "That page was an old one" in page.text
    anna.post("/answer", data={**first, "choice": "left"}, headers=OWN)
    assert "That page was an old one" in anna.post("/answer", data={**first, "choice": "right"}, headers=OWN).text
    assert [each.choice for each in read_given(desks.session, "anna")] == ["left"]


def test_what_is_no_answer_is_told_and_asked_again(desks: Desks) -> None:
    client = _enter(desks, "anna")
    for _ in range(2):
        _say(client)
    page = _say(client, "middle", comment="kept")
    assert page.status_code == 422
    assert "is no choice" in page.text
    assert "kept</textarea>" in page.text
    assert _say(client, "left", comment="x" * 2001).status_code == 422
    fields = _fields(client.get("/"))
    client.post("/answer", data={**fields, "skip": "1", "reason": " foreign "}, headers=OWN)
    given = read_given(desks.session, "anna")
    assert (len(given), given[-1].skipped) == (3, "foreign")


def test_scales_are_rated(tmp_path: Path) -> None:
    with _open(session(tmp_path, kind="rating", rows=2, count=2, training=RATED), "anna") as desks:
        client = _enter(desks, "anna")
        page = client.get("/").text
        assert page.count('type="radio"') == 10
        assert "Understood at once" in page
        fields = _fields(client.get("/"))
        half = client.post("/answer", data={**fields, "rate_clarity": "4", "rate_tone": "high"}, headers=OWN)
        assert half.status_code == 422
        assert 'value="4" required checked' in half.text
        told = client.post("/answer", data={**fields, "rate_clarity": "4", "rate_tone": "3"}, headers=OWN)
        assert "That is right" in told.text
        assert "Clarity 5, Tone 3" in told.text


def test_many_raters_at_once_lose_nothing(tmp_path: Path) -> None:
    names = [f"rater{number}" for number in range(4)]
    made = session(tmp_path, rows=4, count=4)
    with _open(made, *names) as desks:
        app = review_app(desks)

        def work(name: str) -> int:
            client = _enter(desks, name, TestClient(app, base_url=HOME))
            while "That was all" not in (page := client.get("/")).text:
                data = {**_fields(page), "choice": "left"}
                with ThreadPoolExecutor(2) as twice:  # a double click
                    for _ in range(2):
                        twice.submit(client.post, "/answer", data=data, headers=OWN)
            return len(read_given(made, name))

        with ThreadPoolExecutor(len(names)) as pool:
            assert list(pool.map(work, names)) == [4] * 4
    for name in names:
        assert len({each.key for each in read_given(made, name)}) == 4


@pytest.mark.parametrize(
    "path",
    ["/docs", "/openapi.json", "/review.css/../session.json", "/%2e%2e/session.json", "//etc/passwd"],
)
def test_there_is_nothing_else_to_find(desks: Desks, path: str) -> None:
    answer = _client(desks).get(path)
    assert answer.status_code == 404
    assert "There is no such page" in answer.text


def test_assets_are_there_and_pages_ask_for_nothing_from_outside(desks: Desks) -> None:
    client = _enter(desks, "anna")
    assert "--paper" in client.get("/review.css").text
    assert client.get("/review.js").headers["content-type"].startswith("text/javascript")
    for text in (client.get("/").text, client.get("/review.css").text, client.get("/review.js").text):
        assert not re.search(r"(https?:)?//[a-z]", text.replace("// ", ""))
    assert 'style="' not in client.get("/").text
    assert "<style" not in client.get("/").text


def test_a_full_disk_is_told_and_leaves_nothing_behind(desks: Desks, monkeypatch: pytest.MonkeyPatch) -> None:
    client = _enter(desks, "anna")
    data = {**_fields(client.get("/")), "choice": "left"}

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("tunewright.base.lines.os.fsync", full)
        answer = client.post("/answer", data=data, headers=OWN)
    assert answer.status_code == 500
    assert "Your answer was not kept" in answer.text
    assert read_given(desks.session, "anna") == []
    client.post("/answer", data={**data, "choice": "right"}, headers=OWN)
    assert [each.choice for each in read_given(desks.session, "anna")] == ["right"]
