"""Cleaning steps, one file each; the file's name is the step's name in a recipe.

A step holds `Config`, derived from `StepConfig`, and `apply(frame, config) -> StepResult`, both of `data/frame.py`. It
changes nothing in silence: each changed cell and each dropped row is in `StepResult.edits`, row ids stay as they
are, and a second run changes nothing. `config` comes with its column lists filled in (`StepConfig.bind`).
"""
