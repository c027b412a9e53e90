"""One self-contained HTML page per run: the evidence, in a form one can send to others."""

from tunewright.lifecycle.report.facts import ReportFacts
from tunewright.lifecycle.report.page import render_report

__all__ = ["ReportFacts", "render_report"]
