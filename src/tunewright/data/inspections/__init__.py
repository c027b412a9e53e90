"""Inspections: one file measures one thing about a data set, and its file name is its name.

A plug-in has a `Config` and `inspect(view, config) -> Inspection | NotRun | None`; see `tunewright.data.quality`.
"""
