"""The page that shows why a model answered so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tunewright.lifecycle.report import findings
from tunewright.lifecycle.report.page import fill

if TYPE_CHECKING:
    from tunewright.evaluate.explaining import Explanation


def render_explanations(name: str, found: Sequence[Explanation]) -> str:
    """A whole HTML document that needs no other file, no script and no network; all texts are escaped.

    Args:
        name: Of the release.
        found: Its answers, explained.
    """
    from tunewright import __version__
    from tunewright.evaluate.explaining import MEANING, details_of

    worst = max(each.attribution.gap for each in found)
    rows = max(each.rows for each in found)
    view = {
        "name": name,
        "version": __version__,
        "meaning": MEANING,
        "summary": f"{len(found)} answer{'' if len(found) == 1 else 's'}, {rows:,} training rows looked at, "
        f"largest gap {worst:.4f}",
        "shown": findings.parts_of(details_of(found)),
    }
    return fill("explanation.html.j2", view)
