"""Judges: models that grade answers by rubrics, compare them in pairs, and hold them against principles.

    with opened(settings, bench, where="…") as judge:
        cases = cases_of(settings, bench, ["tuned", "base"], where="…")
        finding = grade_finding(judge, [grade(judge, rubric, cases, system, settings, bench) for system in …], …)

What a judge cannot or will not judge is counted and never a number. People's ratings stand beside every score.
"""
