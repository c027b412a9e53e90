"""One self-contained HTML page per run: the evidence, in a form one can send to others."""

from tunewright.lifecycle.report.facts import ReportFacts

__all__ = ["ReportFacts"]
