"""Probes: one file each, from a question about a model's conduct to numbers that reports show and gates hold.

A probe is a plug-in with a class `Config` and `probe(config, asked) -> list[Finding]` (`evaluate/probing.py`). It asks
the systems what it needs, says on how many cases a number stands, and gives no number where nothing was measured.
Where it reads files, encoders or names of its own, it has `check(config, cache)` too, which refuses what is wrong with
them before anything is trained.
It may say the `names(config)` of its findings, all that there can be: a gate that names another is then refused before
training. Without them, a finding that begins with the probe's own name is taken to be its.
"""
