"""Dates of birth: a date is one only where it is called one."""

from __future__ import annotations

import re

from tunewright.data.personal.spans import matching

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec)[a-z]*\.?"
_DATE = (
    rf"(?:\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}|\d{{1,2}}[-/.]\d{{1,2}}[-/.](?:\d{{4}}|\d{{2}})"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH},?\s+\d{{4}}|{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+\d{{4}})"
)
_CALLED = (
    r"(?:\bborn(?:\s+on(?:\s+the)?)?|\bd\.?o\.?b\.?|\bdate\s+of\s+birth|\bbirth\s*da(?:te|y)|\bgeboren(?:\s+am)?|"
    r"\bgeburtsdatum|\bné(?:e)?\s+le|\bdate\s+de\s+naissance|\bfecha\s+de\s+nacimiento|\bnacid[oa]\s+el)"
)

birth_dates = matching(
    re.compile(rf"{_CALLED}\s*(?:(?:is|was|:|=|-|\()\s*){{0,2}}(?:the\s+)?(?P<value>{_DATE})(?!\w)", re.IGNORECASE)
)
