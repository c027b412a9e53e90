"""Addresses of machines: IP and MAC."""

from __future__ import annotations

import ipaddress
import re

from tunewright.data.personal.spans import Span, before, matching

_FOUR = re.compile(r"(?<![\w.-])\d{1,3}(?:\.\d{1,3}){3}(?![\w-])(?!\.\d)")
_SIX = re.compile(r"(?<![\w:.])(?:[0-9a-fA-F]{0,4}:){2,7}(?:[0-9a-fA-F]{1,4}|:)?(?![\w:])")
# Program code has "a::b", which is an address by its form alone.
_TELLING = re.compile(r"\d|[0-9a-fA-F]{4}")
_VERSION = re.compile(r"\b(?:v|ver|version|release|firmware|build|driver)\b[\s.:=]*$", re.IGNORECASE)
_MAC = re.compile(r"(?<![\w:.-])(?:[0-9a-fA-F]{2}(?P<by>[:-]))(?:[0-9a-fA-F]{2}(?P=by)){4}[0-9a-fA-F]{2}(?![\w:-])")

_pairs = matching(_MAC)


def macs(text: str, region: str | None) -> list[Span]:
    """MAC addresses, with colons or hyphens."""
    return _pairs(text, region) if text.count(":") > 4 or text.count("-") > 4 else []


def ips(text: str, region: str | None) -> list[Span]:
    """IP addresses, versions 4 and 6; four numbers that are called a version are none."""
    four, six = [], []
    if text.count(".") > 2:
        four = [match.span() for match in _FOUR.finditer(text) if _is_address(match[0])]
        four = [span for span in four if not _VERSION.search(before(text, span[0]))]
    if text.count(":") > 1:
        six = [match.span() for match in _SIX.finditer(text) if _is_address(match[0]) and _TELLING.search(match[0])]
    return sorted(four + six)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
