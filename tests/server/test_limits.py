"""Buckets fill as time passes; headers and refusals say what is left, in OpenAI's words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.server.errors import ApiError
from tunewright.server.limits import Limits, duration


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_minute_s_requests_and_then_one_each_time_it_fills() -> None:
    clock = Clock()
    limits = Limits(requests=2, clock=clock)
    limits.take_request("a")
    limits.take_request("a")
    with pytest.raises(ApiError) as refused:
        limits.take_request("a")
    assert (refused.value.status, refused.value.code) == (429, "rate_limit_exceeded")
    assert refused.value.headers["Retry-After"] == "30"
    limits.take_request("b")  # another key has its own
    clock.now_s += 30
    limits.take_request("a")
    with pytest.raises(ApiError):
        limits.take_request("a")


def test_headers_say_what_is_left() -> None:
    clock = Clock()
    limits = Limits(requests=60, tokens=600, clock=clock)
    limits.take_request("a")
    limits.charge("a", 150)
    assert limits.headers("a") == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-limit-tokens": "600",
        "x-ratelimit-remaining-tokens": "450",
        "x-ratelimit-reset-tokens": "15s",
    }


def test_a_long_answer_is_paid_for_by_waiting() -> None:
    clock = Clock()
    limits = Limits(tokens=600, clock=clock)
    limits.check_tokens("a")
    limits.charge("a", 1200)  # 600 more than there were: a minute until there are none missing
    with pytest.raises(ApiError) as refused:
        limits.check_tokens("a")
    assert refused.value.headers["Retry-After"] == "61"
    assert refused.value.headers["x-ratelimit-remaining-tokens"] == "0"
    clock.now_s += 60.1
    limits.check_tokens("a")


def test_without_limits_nothing_is_counted_or_said() -> None:
    limits = Limits()
    for _ in range(1000):
        limits.take_request("a")
    limits.check_tokens("a")
    assert limits.headers("a") == {}


def test_a_clock_that_goes_back_gives_nothing_away() -> None:
    clock = Clock()
    limits = Limits(requests=1, clock=clock)
    limits.take_request("a")
    clock.now_s -= 1000
    with pytest.raises(ApiError):
        limits.take_request("a")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0s"),
        (-1, "0s"),
        (0.0004, "1ms"),
        (0.12, "120ms"),
        (1, "1s"),
        (1.5, "1.5s"),
        (59.9999, "1m0s"),
        (390, "6m30s"),
    ],
)
def test_durations_are_written_as_openai_writes_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@given(st.lists(st.tuples(st.floats(0, 90), st.sampled_from(["take", "charge"])), max_size=60))
def test_no_bucket_holds_more_than_a_minute_s_allowance(steps: list[tuple[float, str]]) -> None:
    clock = Clock()
    limits = Limits(requests=5, tokens=50, clock=clock)
    taken: list[float] = []
    for wait_s, what in steps:
        clock.now_s += wait_s
        if what == "charge":
            limits.charge("a", 7)
        else:
            try:
                limits.take_request("a")
            except ApiError:
                continue
            taken.append(clock.now_s)
    # A full bucket and what flows in while it is emptied: never more than twice the allowance in any minute.
    assert all(sum(at <= each < at + 60 for each in taken) <= 10 for at in taken)
    assert 0 <= int(limits.headers("a")["x-ratelimit-remaining-tokens"]) <= 50
