"""Formats that a dataset can be written in. One file adds one.

Each has `Config`, `FILE` (`jsonl`, `csv` or `parquet`), and three functions of an example:
`lost(example) -> str`, what of it the format cannot hold, empty if it holds all;
`features(example) -> set[str]`, what decides how all rows are written;
`row(example, features) -> mapping | None`, the row as far as the format holds it, None where that is nothing.
CSV adds `columns(features)`, Parquet `schema(features)`.
"""
