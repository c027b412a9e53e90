"""Tables and lines of what a server holds: its models, jobs and their events, as OpenAI's API words them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_STATUS_STYLE = {"succeeded": "green", "failed": "red", "cancelled": "yellow", "running": "cyan"}
_LEVEL_STYLE = {"warn": "yellow", "warning": "yellow", "error": "red"}


def show_models(models: Sequence[Mapping[str, Any]]) -> None:
    """The models that a server answers as."""
    if not models:
        _print("This server answers as no model yet: pull a base model there, or fine-tune one.")
        return
    table = _table("Models", "Name", "Owner", "Since")
    for model in models:
        table.add_row(model["id"], str(model.get("owned_by") or ""), _when(model.get("created")))
    _print(table)


def show_jobs(jobs: Sequence[Mapping[str, Any]]) -> None:
    """Jobs, newest first."""
    if not jobs:
        _print("No job yet. `tunewright jobs create --model NAME --training-file FILE` makes one.")
        return
    table = _table("Jobs", "Job", "Model", "Status", "Made", "Result")
    for job in jobs:
        table.add_row(
            job["id"], job["model"], _status(job), _when(job.get("created_at")), str(job.get("fine_tuned_model") or "")
        )
    _print(table)


def show_job(job: Mapping[str, Any]) -> None:
    """One job: what it trains, how far it is, and what came of it."""
    _print(Text.assemble((job["id"], "bold"), ": ", _status(job)))
    error = job.get("error") or {}
    for name, value in (
        ("base", job["model"]),
        ("result", job.get("fine_tuned_model")),
        ("method", (job.get("method") or {}).get("type")),
        ("made", _when(job.get("created_at"))),
        ("ended", _when(job.get("finished_at"))),
        ("ends", _when(job.get("estimated_finish")) if not job.get("finished_at") else ""),
        ("tokens", f"{job['trained_tokens']:,}" if job.get("trained_tokens") else ""),
        ("files", ", ".join(job.get("result_files") or ())),
    ):
        if value:
            _print(Text.assemble((f"{name:<8}", "dim"), str(value)), whole=True)
    if error.get("message"):
        _print(Text(f"{error.get('code') or 'error'}: {error['message']}", style="red"))


def show_event(event: Mapping[str, Any]) -> None:
    """One event of a job, on a line."""
    moment = datetime.fromtimestamp(event["created_at"])
    style = _LEVEL_STYLE.get(event.get("level", ""), "")
    _print(Text.assemble((f"{moment:%H:%M:%S} ", "dim"), (event["message"], style)), whole=True)


def _status(job: Mapping[str, Any]) -> Text:
    return Text(job["status"], style=_STATUS_STYLE.get(job["status"], ""))


def _when(seconds: int | None) -> str:
    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M}" if seconds else ""


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _print(what: Any, *, whole: bool = False) -> None:
    Console(highlight=False).print(what, soft_wrap=whole)
