"""Addresses on the web go where they carry a credential, as a whole; plain ones stay."""

from __future__ import annotations

import pytest

from tunewright.data.personal.urls import urls


@pytest.mark.parametrize(
    "url",
    [
        "https://me:s3cret@host.example/x",
        "postgresql://app:pw12345@db.example:5432/main",
        "https://ghp_0123456789abcdefghij0123456789abcdef@github.com/a/b",
        "https://host.example/reset?user=7&token=9f8e7d6c",
        "https://a.example/x?api_key=A1B2C3D4E5",
        "https://a.example/cb#access_token=ya29.a0Af",
        "https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4&X-Amz-Signature=abcdef0123",
        "https://d1.cloudfront.net/v.mp4?Expires=1&Signature=ab~cd&Key-Pair-Id=APK",
        "https://x.blob.core.windows.net/c/f?sv=2020&sig=abc%2Fdef%3D",
        "https://hooks.slack.com/services/T000/B000/XXXXXXXXXXXX",
        "https://app.example/reset-password/3f9c2a77b1d04e5f8a",
    ],
)
def test_found(url: str) -> None:
    for text in (url, f"see ({url}), please", f"<{url}>.", f"{url}!"):
        assert [text[start:end] for start, end in urls(text, None)] == [url]


@pytest.mark.parametrize(
    "text",
    [
        "https://a.example/x?page=2&code=ab",
        "https://shop.example/?invite=friends&sort=asc",
        "https://en.example.org/wiki/Access_token#History",
        "https://user@host.example/x and http://host.example:8080/",
        "https://docs.example/reset/password",
        "token=9f8e7d6c without an address",
    ],
)
def test_left_alone(text: str) -> None:
    assert urls(text, None) == []
