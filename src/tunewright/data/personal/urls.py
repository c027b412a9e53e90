"""Addresses on the web that carry a key, a token or a password. A plain one stays."""

from __future__ import annotations

import re

from tunewright.data.personal.secrets import secrets
from tunewright.data.personal.spans import Span

_URL = re.compile(r"(?<![\w.+-])[A-Za-z][A-Za-z0-9+.-]{1,15}://[^\s<>\"'`{}|\\^]+")
# What a sentence puts behind an address.
_CLOSING = ".,;:!?)]}*_’”"
_USER = re.compile(r"[^:]+://[^\s/?#@:]+:[^\s/?#@]+@")
_USER_ALONE = re.compile(r"[^:]+://(?=[^/?#@]*\d)[\w~.%-]{16,}@")
_PARAMETER = re.compile(
    r"[?&#;](?:[a-z]+[_-])*(?:token|key|apikey|secret|sig|signature|auth|authorization|password|passwd|pwd|session|sessionid|"
    r"sid|code|jwt|otp|credential|credentials|accesskeyid|awsaccesskeyid|invite|ticket|hash|hmac|passcode|pin|nonce|"
    r"x-amz-signature|x-amz-security-token|x-amz-credential|x-goog-signature|policy|magic|confirmation|reset|verify)"
    r"=(?P<value>[^\s&#;]{4,})",
    re.IGNORECASE,
)
# Parts of a path that let in whoever knows them: webhooks, bots, sharing and resetting links.
_PATH = re.compile(
    r"hooks\.slack\.com/(?:services|workflows|triggers)/\S{10,}|discord(?:app)?\.com/api/webhooks/\d+/\S{10,}|"
    r"api\.telegram\.org/(?:file/)?bot\d+:\S{10,}|webhook\.office\.com/\S{20,}|"
    r"/(?:reset|reset-password|password-reset|verify|confirm|invite|unsubscribe|magic|token|activate|share|s)/"
    r"(?=[^/?#]*\d)[\w~.-]{16,}",
    re.IGNORECASE,
)
# A page's number or a product's code under an ambiguous name is no key.
_PLAIN_VALUE = re.compile(r"[a-z]{1,12}|\d{1,4}|[A-Z]{2,12}|[a-z]+(?:[-_ +%20]+[a-z]+)+", re.ASCII)
_AMBIGUOUS = re.compile(
    r"[?&#;](?:code|key|hash|invite|ticket|policy|reset|verify|magic|pin|nonce|confirmation|auth|session)=",
    re.IGNORECASE,
)


def urls(text: str, region: str | None) -> list[Span]:
    """Addresses that carry credentials: a password or token before the host, in a parameter, or in the path."""
    if "://" not in text:
        return []
    found = []
    for match in _URL.finditer(text):
        url = match[0].rstrip(_CLOSING)
        if carries_key(url):
            found.append((match.start(), match.start() + len(url)))
    return found


def carries_key(url: str) -> bool:
    """Whether an address lets in whoever knows it."""
    if _USER.match(url) or _USER_ALONE.match(url) or _PATH.search(url):
        return True
    if any(not _is_plain(match) for match in _PARAMETER.finditer(url)):
        return True
    return bool(secrets(url, None))


def _is_plain(match: re.Match[str]) -> bool:
    return bool(_AMBIGUOUS.match(match[0])) and bool(_PLAIN_VALUE.fullmatch(match["value"]))
