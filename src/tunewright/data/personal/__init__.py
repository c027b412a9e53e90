"""Personal data in text: one file for each family of kinds, all found by form and checked by rule.

A finder is a function `(text, region) -> list[Span]`: the places of one kind, in order, that do not overlap. Forms that
ordinary text shares (a run of digits, four small numbers with dots) are taken only if a check digit, a range or the
words before them speak for it; so order numbers, dates and version numbers stay.
"""
