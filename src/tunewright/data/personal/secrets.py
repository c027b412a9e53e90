"""Keys, tokens and passwords: by the prefix their issuer gives them, by what they are called, or inside an address."""

from __future__ import annotations

import re

from tunewright.data.personal.spans import Span, matching

# Prefixes as their issuers document them.
_KNOWN = re.compile(
    r"(?<![\w-])(?:"
    r"sk-(?:[a-z]+-)*[A-Za-z0-9_-]{20,}"  # OpenAI, Anthropic
    r"|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}"  # Stripe
    r"|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}"  # GitHub, GitLab
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}"  # Amazon
    r"|AIza[\w-]{35}"  # Google
    r"|xox[abeoprs]-[\w-]{10,}"  # Slack
    r"|hf_[A-Za-z0-9]{30,}|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{30,}"  # Hugging Face, npm, PyPI
    r"|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*"  # JSON web tokens (RFC 7519)
    r")(?![\w-])"
)
_PRIVATE_KEY = re.compile(r"-----BEGIN (?P<kind>[A-Z ]*PRIVATE KEY)-----.*?-----END (?P=kind)-----", re.DOTALL)
_NAMED = (
    r"(?:pass(?:word|wd|phrase|code)|pwd|secret|(?:api|access|private|secret|auth)[ _-]?key|"
    r"(?:access|auth|bearer|refresh|session|api|id)[ _-]?token|client[ _-]?secret|authorization)"
)
_CALLED = re.compile(
    rf"\b{_NAMED}[\"']?\s*(?:(?::|=|\bis:?)\s*)(?:(?:Bearer|Basic)\s+)?[\"'`]?(?P<value>(?!\[)[^\s\"'`,;<>]{{6,}})",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\bBearer\s+(?P<value>[\w.~+/-]{16,}=*)")
_USER = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/?#@:]+:(?P<value>(?!\[)[^\s/?#@]+)@", re.IGNORECASE)
_PARAMETER = re.compile(
    r"[?&#;](?:token|key|apikey|secret|sig|signature|auth|password|passwd|pwd|session|sessionid|sid|code|jwt|otp|"
    r"access_token|auth_token|id_token|refresh_token|api_key|client_secret|x-amz-signature|x-amz-security-token|"
    r"x-goog-signature|reset_token)=(?P<value>(?!\[)[^\s&#;\"'<>]{4,})",
    re.IGNORECASE,
)


def _looks_made(value: str) -> bool:
    """Whether a value is no plain word: a password or key, not "required" or "incorrect"."""
    stripped = value.strip(".!?)(")
    return len(stripped) >= 6 and not stripped.isalpha()


# Each with words of which one must stand in the text, in lower case: that is asked first, as it is cheap.
_FINDERS = (
    (matching(_PRIVATE_KEY), ("private key",)),
    (
        matching(_KNOWN),
        ("sk-", "_live_", "_test_", "gh", "glpat-", "akia", "asia", "aiza", "xox", "hf_", "npm_", "pypi-", "eyj"),
    ),
    (matching(_CALLED, _looks_made), ("pass", "pwd", "secret", "key", "token", "authorization")),
    (matching(_BEARER), ("bearer",)),
    (matching(_USER), ("://",)),
    (matching(_PARAMETER), ("=",)),
)


def secrets(text: str, region: str | None) -> list[Span]:
    """Keys, tokens, passwords, and the parts of addresses that carry one; the longest where several overlap."""
    lowered = text.lower()
    finders = [find for find, words in _FINDERS if any(word in lowered for word in words)]
    found = sorted((span for find in finders for span in find(text, region)), key=lambda span: (span[0], -span[1]))
    kept: list[Span] = []
    for span in found:
        if not kept or span[0] >= kept[-1][1]:
            kept.append(span)
    return kept
