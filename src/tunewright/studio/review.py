"""The pages of a review session: a link for each rater, one task at a time, each answer on disk before the next.

Plain forms: everything works without scripts. What a page carries says nothing of systems or rows: a task is called by
a code that only this server can make.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.exceptions import HTTPException as AnyHTTPException

from tunewright.base.errors import InputError, TunewrightError
from tunewright.base.events import Listener, Message, ignore
from tunewright.evaluate.reviewing.rater import Given, Rater, Task, sign, texts, token
from tunewright.evaluate.reviewing.session import Session
from tunewright.evaluate.reviewing.training import CHOICES, PairToLearn
from tunewright.studio.guard import guard, read_form
from tunewright.studio.templates import markdown, templates

_SECONDS_OF_A_COOKIE = 30 * 24 * 3600
_ASSETS = {"review.css": "text/css", "review.js": "text/javascript"}
Form = Annotated[dict[str, str], Depends(read_form)]


@dataclass
class Desk:
    """A rater's place: his work, and the lock that lets one request at a time at it."""

    rater: Rater
    link: str
    is_entered: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class Desks:
    """All raters of a session.

    Args:
        session: The session.
        raters: Each of them open for this server.
        listener: Hears who begins and who is done.
    """

    def __init__(self, session: Session, raters: Sequence[Rater], listener: Listener = ignore) -> None:
        self.session, self.listener = session, listener
        self.by_name = {rater.name: Desk(rater, secrets.token_urlsafe(24)) for rater in raters}

    @property
    def links(self) -> dict[str, str]:
        """Each rater's link, as a path; good for one entry."""
        return {name: f"/enter/{desk.link}" for name, desk in self.by_name.items()}

    @property
    def cookie_name(self) -> str:
        """Browsers keep cookies by host and not by port, so sessions are told apart by name."""
        return f"tunewright_review_{self.session.id}"

    def by_link(self, link: str) -> Desk:
        """The desk that a link leads to.

        Raises:
            HTTPException: 403 if there is none.
        """
        for desk in self.by_name.values():
            if hmac.compare_digest(desk.link.encode(), link.encode()):
                return desk
        raise HTTPException(403, "This link leads nowhere: it is wrong, or of before the review was started anew.")

    def cookie(self, name: str) -> str:
        """A new pass for a rater: it stays good when the server is started anew."""
        nonce = secrets.token_hex(16)
        return f"{nonce}.{sign(self.session, 'pass', name, nonce)}"

    def by_cookie(self, request: Request) -> tuple[Desk, str] | None:
        """The desk that a browser's pass is for, and the pass; none without a good one."""
        given = request.cookies.get(self.cookie_name, "")
        nonce, _, code = given.partition(".")
        for name, desk in self.by_name.items():
            if hmac.compare_digest(sign(self.session, "pass", name, nonce).encode(), code.encode()):
                return desk, given
        return None


def review_app(desks: Desks) -> FastAPI:
    """The web application of a session."""
    app = FastAPI(title="review", docs_url=None, redoc_url=None, openapi_url=None)
    guard(app)
    app.add_exception_handler(AnyHTTPException, _problem)
    app.add_exception_handler(TunewrightError, _trouble)
    _doors(app, desks)
    _work(app, desks)
    _assets(app)
    return app


def _doors(app: FastAPI, desks: Desks) -> None:
    @app.get("/enter/{link}")
    def door(link: str, request: Request) -> Response:
        desk = desks.by_link(link)
        if (known := desks.by_cookie(request)) and known[0] is desk:
            return _to("/")
        if desk.is_entered:
            raise HTTPException(403, "This link was used before. Starting the review again prints a new one.")
        # Opening a link does not use it up: programs that look at links before people do would.
        return _page("door.html.j2", desks, desk, link=link)

    @app.post("/enter/{link}")
    def enter(link: str, _: Form) -> Response:
        desk = desks.by_link(link)
        with desk.lock:
            if desk.is_entered:
                raise HTTPException(403, "This link was used before.")
            desk.is_entered = True
        desks.listener(Message(f"{desk.rater.name} has come in."))
        response = _to("/")
        response.set_cookie(
            desks.cookie_name,
            desks.cookie(desk.rater.name),
            max_age=_SECONDS_OF_A_COOKIE,
            httponly=True,
            samesite="strict",
        )
        return response


def _work(app: FastAPI, desks: Desks) -> None:
    @app.get("/")
    def task(request: Request, said: str = "") -> Response:
        desk, code = _entered(desks, request)
        with desk.lock:
            now = desk.rater.next()
            view: dict[str, Any] = {"code": code, "notice": _NOTICES.get(said, "")}
            if now is None:
                return _page("done.html.j2", desks, desk, **view)
            return _page("task.html.j2", desks, desk, **_task_view(desks, desk, now), **view)

    @app.post("/answer")
    def answer(request: Request, form: Form) -> Response:
        desk, code = _entered(desks, request, form)
        with desk.lock:
            now = desk.rater.next()
            if now is None or form.get("task", "") != token(desks.session, desk.rater.name, now):
                return _to("/?said=stale")
            try:
                given = _answered(desk.rater, now, form)
            except InputError as error:
                view = _task_view(desks, desk, now) | {"code": code, "sent": form, "notice": f"{error.what}."}
                return _page("task.html.j2", desks, desk, status=422, **view)
            if desk.rater.is_done:
                desks.listener(Message(f"{desk.rater.name} is done."))
        return _to("/feedback" if given.stage == "training" else "/")

    @app.post("/undo")
    def undo(request: Request, form: Form) -> Response:
        desk, _ = _entered(desks, request, form)
        with desk.lock:
            taken = desk.rater.undo()
        return _to("/?said=undone" if taken else "/?said=nothing")

    @app.get("/feedback")
    def feedback(request: Request) -> Response:
        desk, _ = _entered(desks, request)
        with desk.lock:
            last = desk.rater.given[-1] if desk.rater.given else None
            if last is None or last.stage != "training":
                return _to("/")
            item = desks.session.settings.training[int(last.unit)]
            question, answers, _ = texts(desks.session, desk.rater.tasks[len(desk.rater.given) - 1])
            view: dict[str, Any] = {"question": question, "answers": answers, "known": _known(desks.session, item)}
            return _page("feedback.html.j2", desks, desk, item=item, last=last, **view)

    @app.get("/guidelines")
    def guidelines(request: Request) -> Response:
        return _page("guidelines.html.j2", desks, _entered(desks, request)[0])


def _entered(desks: Desks, request: Request, form: Mapping[str, str] | None = None) -> tuple[Desk, str]:
    """Whose browser this is, and the code that the forms of this visit carry; one that was sent must carry it.

    Raises:
        HTTPException: 403 for a browser without a good pass, and for a form of elsewhere.
    """
    found = desks.by_cookie(request)
    if found is None:
        raise HTTPException(403, "Open the link that you were given.")
    desk, given = found
    code = sign(desks.session, "form", given)
    if form is not None and not hmac.compare_digest(code.encode(), form.get("code", "").encode()):
        raise HTTPException(403, "This form is not of this visit: open the page again.")
    return desk, code


def _assets(app: FastAPI) -> None:
    for name, kind in _ASSETS.items():
        text = templates().get_template(name).render()

        def asset(text: str = text, kind: str = kind) -> Response:
            return Response(text, media_type=kind)

        app.add_api_route(f"/{name}", asset, methods=["GET"], response_class=Response)


_CHOICE_WORDS = dict(
    zip(CHOICES, ("Answer 1 is better", "Answer 2 is better", "Both equally good", "Both are bad"), strict=True)
)
_NOTICES = {
    "stale": "That page was an old one; what you had answered before is kept. Here is what comes now.",
    "undone": "Your last answer was taken back. Here it is again.",
    "nothing": "There is no answer to take back.",
}


def _task_view(desks: Desks, desk: Desk, task: Task) -> dict[str, Any]:
    question, answers, reference = texts(desks.session, task)
    return {
        "task": token(desks.session, desk.rater.name, task),
        "is_training": task.stage == "training",
        "question": question,
        "answers": answers,
        "reference": reference,
        "can_undo": bool(desk.rater.given) and desk.rater.given[-1].stage != "training",
        "sent": {},
    }


def _answered(rater: Rater, task: Task, form: Mapping[str, str]) -> Given:
    if "skip" in form:
        return rater.answer(task.key, skipped=form.get("reason", "").strip(), comment=form.get("comment", ""))
    ratings: dict[str, int] = {}
    for rubric in rater.session.settings.criteria:
        point = form.get(f"rate_{rubric.name}", "")
        if point.isascii() and point.isdigit() and len(point) < 4:
            ratings[rubric.name] = int(point)
    return rater.answer(task.key, choice=form.get("choice", ""), ratings=ratings, comment=form.get("comment", ""))


def _known(session: Session, item: Any) -> str:
    """What is known of a training item, in words."""
    if isinstance(item, PairToLearn):
        return _CHOICE_WORDS[item.choice]
    shown = {rubric.name: rubric.shown for rubric in session.settings.criteria}
    return ", ".join(f"{shown[name]} {point}" for name, point in item.ratings.items())


def _page(template: str, desks: Desks, desk: Desk, *, status: int = 200, **view: Any) -> Response:
    rater, settings = desk.rater, desks.session.settings
    items = len(settings.training)
    text = (
        templates()
        .get_template(template)
        .render(
            rater=rater.name,
            settings=settings,
            guidelines=markdown(settings.guidelines),
            choices=_CHOICE_WORDS,
            items=items,
            learned=rater.learned,
            done=max(0, len(rater.given) - items),
            total=len(rater.tasks) - items,
            **{"code": "", "notice": "", **view},
        )
    )
    return HTMLResponse(text.encode("utf-8", "backslashreplace"), status)


def _to(path: str) -> RedirectResponse:
    return RedirectResponse(path, 303)


def _problem(_: Request, error: Exception) -> Response:
    """A refusal as a page."""
    if not isinstance(error, AnyHTTPException):
        raise error
    what = "There is no such page." if error.status_code == 404 else str(error.detail)
    return HTMLResponse(templates().get_template("problem.html.j2").render(what=what), error.status_code)


def _trouble(_: Request, error: Exception) -> Response:
    """An answer that could not be kept, as on a full disk: said, and not lost from the page by a blank one."""
    text = templates().get_template("problem.html.j2").render(what=f"Your answer was not kept: {error}")
    return HTMLResponse(text, 500)
