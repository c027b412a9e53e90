"""The works of bench/evaluate.py, one file each, and the processes that they start.

A work has `add_options(parser)`, `measure(bench) -> dict` (its row of the JSON) and `text(found) -> str` (for people).
"""
