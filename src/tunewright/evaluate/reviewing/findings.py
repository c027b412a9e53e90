"""What people said, as findings that reports show and gates hold, and as a file of single ratings."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tunewright.base.errors import InputError
from tunewright.base.files import atomic_file
from tunewright.evaluate.agreement import Coefficient
from tunewright.evaluate.probing import Finding
from tunewright.evaluate.reviewing.rater import read_given
from tunewright.evaluate.reviewing.results import Pairs, RaterSummary, Results, Scale

_PAIR_COLUMNS = ("id", "rater", "choice", "comment", "at")
_RATING_COLUMNS = ("id", "rater", "system", "criterion", "rating", "answer", "comment", "at")


def findings_of(results: Results) -> list[Finding]:
    """The findings of a session: about the first of its systems, the second one in the base's place.

    `review_win_rate` of pairs; `review_<criterion>` of ratings; `review_agreement` (of several criteria
    `review_<criterion>_agreement`) where two raters or more share rows.

    Raises:
        InputError: If nothing counts yet: a share of nothing is not a number.
    """
    if not results.counts_anything:
        raise InputError(
            "No answer counts yet"
            + (f": all {results.left_out} are of raters who failed the training items" if results.left_out else ""),
            where=results.session.id,
            hint="Let another rater answer, then ask again.",
        )
    if results.pairs is not None:
        return [_win_rate(results, results.pairs), *_agreement(results.pairs.agreement, "", "")]
    several = len(results.scales) > 1
    found: list[Finding] = []
    for scale in results.scales:
        name = f"{scale.rubric.name}_" if several else ""
        found += _mean(results, scale)
        found += _agreement(scale.agreement, name, f" on {scale.rubric.shown.lower()}")
    return found


def export(results: Results, path: Path) -> int:
    """Writes single ratings that count: a `.csv`, else JSONL. Returns how many there are.

    Of pairs `id`, `rater`, `choice` (a system, tie or both_bad); of ratings `id`, `rater`, `system`, `criterion`,
    `rating` and the `answer` that was rated; of both `comment` and `at`. Judges are held against such a file.
    """
    rows = list(_ratings(results))
    columns = _PAIR_COLUMNS if results.session.settings.kind == "pairwise" else _RATING_COLUMNS
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        if path.suffix == ".csv":
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
        else:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return len(rows)


def as_json(results: Results) -> dict[str, Any]:
    """The results as `--json` prints them."""
    session = results.session
    found: dict[str, Any] = {
        "session": session.id,
        "kind": session.settings.kind,
        "systems": list(session.systems),
        "rows": results.rows,
        "rows_drawn": len(session.rows),
        **{name: session.about[name] for name in ("shared", "unshared", "identical")},
        "left_out": results.left_out,
        "raters": [rater.as_json() for rater in results.raters],
        "findings": {finding.name: finding.as_json() for finding in findings_of(results)}
        if results.counts_anything
        else {},
    }
    if results.pairs is not None:
        found |= _pairs_as_json(results.pairs)
    if results.scales:
        found["scales"] = {scale.rubric.name: _scale_as_json(scale) for scale in results.scales}
    return found


def _ratings(results: Results) -> Iterator[dict[str, Any]]:
    session = results.session
    answers = {row.id: row.answers for row in session.rows}
    for rater in results.raters:
        if rater.marked:
            continue
        for each in read_given(session, rater.name):
            if each.stage != "row" or each.skipped is not None:
                continue
            common = {"comment": each.comment, "at": each.at}
            if session.settings.kind == "pairwise":
                yield {"id": each.unit, "rater": rater.name, "choice": each.preferred, **common}
                continue
            system = each.shown[0]
            for criterion, point in each.ratings.items():
                told = {"system": system, "criterion": criterion, "rating": point, "answer": answers[each.unit][system]}
                yield {"id": each.unit, "rater": rater.name, **told, **common}


def _win_rate(results: Results, pairs: Pairs) -> Finding:
    one, other = results.session.systems
    about = results.session.about
    same = f" To {about['identical']:,} of {about['shared']:,} rows both answered the same, and nobody was asked."
    return Finding(
        name="review_win_rate",
        title=f"People prefer {_called(one)} to {_called(other)}",
        value=pairs.win_rate.value,
        low=pairs.win_rate.low,
        high=pairs.win_rate.high,
        n=pairs.win_rate.n,
        better="higher",
        meaning=(
            f"Share of rows on which people, who did not know which was which, preferred {_called(one)}; a tie counts"
            f" half. Both are as good at 0.5. Of the rows {pairs.paired.only_a:,} went to {_called(one)} and"
            f" {pairs.paired.only_b:,} to {_called(other)} (sign test: p = {pairs.paired.p:.4f})."
            f"{same if about['identical'] else ''}{_left_out(results)}"
        ),
        details={
            "Votes": [{"said": name.replace("_", " "), "times": times} for name, times in pairs.votes.items()],
            **_left_words(pairs),
            "Agreement": _coefficients({"Krippendorff's alpha": pairs.agreement, "Fleiss' kappa": pairs.fleiss}, pairs),
            "Raters": [_rater_row(rater) for rater in results.raters],
            "Session": _session(results),
        },
    )


def _mean(results: Results, scale: Scale) -> list[Finding]:
    one, *others = results.session.systems
    if one not in scale.means:
        return []  # nobody has rated it yet; of the others alone nothing can be said about it
    mean = scale.means[one]
    base = scale.means.get(others[0]) if len(others) == 1 else None
    test = ""
    if scale.difference is not None and scale.paired is not None:
        test = (
            f" Row by row {_called(one)} is rated {scale.difference.value:+.2f} against {_called(others[0])} (95 %"
            f" interval {scale.difference.low:+.2f} to {scale.difference.high:+.2f}; sign test: p ="
            f" {scale.paired.p:.4f})."
        )
    points = scale.rubric.points
    return [
        Finding(
            name=f"review_{scale.rubric.name}",
            title=f"{scale.rubric.shown}, rated by people",
            value=mean.value,
            low=mean.low,
            high=mean.high,
            n=mean.n,
            better="higher",
            base=base.value if base else None,
            meaning=(
                f"Mean point on a scale from {points[0]} to {points[-1]}, by people who did not know whose answer it"
                f" was.{test}{_left_out(results)}"
            ),
            details={
                "Means": [
                    {"system": system, "mean": mean.value, "low": mean.low, "high": mean.high, "rows": mean.n}
                    for system, mean in scale.means.items()
                ],
                "Agreement": _coefficients({"Krippendorff's alpha (ordinal)": scale.agreement}, scale),
                "Raters": [_rater_row(rater) for rater in results.raters],
                "Session": _session(results),
            },
        )
    ]


def _agreement(found: Coefficient, name: str, where: str) -> list[Finding]:
    if found.value is None:
        return []
    return [
        Finding(
            name=f"review_{name}agreement",
            title=f"Raters agree{where} (Krippendorff's alpha)",
            value=found.value,
            low=found.low,
            high=found.high,
            n=found.n,
            better="higher",
            meaning=(
                f"How far {len(found.raters)} raters agree beyond chance, on {found.n:,} things that two or more of"
                " them rated: 1 is full agreement, 0 what chance gives. Below 0.667 not even tentative conclusions"
                " should be drawn, by Krippendorff's own rule."
            ),
        )
    ]


def _called(system: str) -> str:
    """How sentences call a system."""
    return {"tuned": "the tuned model", "base": "the base model"}.get(system, system)


def _session(results: Results) -> str:
    session = results.session
    drawn = f"{len(session.rows):,} of {session.about['shared']:,} rows drawn with seed {session.settings.seed}"
    return f"{session.id}: {drawn}, {results.rows:,} answered"


def _left_words(pairs: Pairs) -> dict[str, str]:
    if pairs.left is None:
        return {}
    left = pairs.left
    said = f"{left.value:.0%} (95 % interval {left.low:.0%} to {left.high:.0%}; without bias 50%)"
    return {"Preferences for the left answer": said}


def _coefficients(found: Mapping[str, Coefficient], of: Pairs | Scale) -> list[dict[str, Any]]:
    kappa = "Cohen's kappa" if isinstance(of, Pairs) else "Cohen's kappa (linear weights)"
    rows = [*found.items(), *((f"{kappa}, {one} and {other}", each) for one, other, each in of.pairs)]
    return [{"coefficient": name, "value": c.value, "low": c.low, "high": c.high, "things": c.n} for name, c in rows]


def _rater_row(rater: RaterSummary) -> dict[str, Any]:
    found = rater.learned
    return {
        "rater": rater.name,
        "rows": f"{rater.answered:,} of {rater.asked:,}{'' if rater.finished else ', not finished'}",
        "skipped": len(rater.skipped),
        "training": f"{found.right} of {found.items}{', failed' if rater.marked else ''}" if found.items else None,
        "same when asked again": f"{rater.repeated} of {rater.repeats}" if rater.repeats else None,
        "seconds a row": rater.median_seconds,
    }


def _left_out(results: Results) -> str:
    if not results.left_out:
        return ""
    return f" Answers of raters who failed the training items, which do not count: {results.left_out:,}."


def _pairs_as_json(pairs: Pairs) -> dict[str, Any]:
    paired = pairs.paired
    return {
        "win_rate": pairs.win_rate.as_json(),
        "sign_test": {"first": paired.only_a, "second": paired.only_b, "p": paired.p},
        "votes": pairs.votes,
        "left": pairs.left.as_json() if pairs.left else None,
        "agreement": {"krippendorff_alpha": pairs.agreement.as_json(), "fleiss_kappa": pairs.fleiss.as_json()},
        "pairs_of_raters": _every_pair(pairs),
    }


def _scale_as_json(scale: Scale) -> dict[str, Any]:
    return {
        "means": {system: interval.as_json() for system, interval in scale.means.items()},
        "difference": scale.difference.as_json() if scale.difference else None,
        "sign_test": {"first": scale.paired.only_a, "second": scale.paired.only_b, "p": scale.paired.p}
        if scale.paired
        else None,
        "agreement": {"krippendorff_alpha": scale.agreement.as_json()},
        "pairs_of_raters": _every_pair(scale),
    }


def _every_pair(of: Pairs | Scale) -> list[dict[str, Any]]:
    return [{"raters": [one, other], "cohen_kappa": each.value, "n": each.n} for one, other, each in of.pairs]
