from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from tunewright.base.seeds import derive


def test_a_seed_is_the_head_of_a_hash() -> None:
    digest = hashlib.sha256(b"17/split/3").hexdigest()
    assert derive(17, "split", 3) == int(digest[:16], 16) // 2


@given(seed=st.integers(0, 2**63 - 1), names=st.lists(st.text(max_size=5), max_size=3))
def test_a_seed_repeats_and_fits_in_63_bits(seed: int, names: list[str]) -> None:
    assert derive(seed, *names) == derive(seed, *names)
    assert 0 <= derive(seed, *names) < 2**63


def test_purposes_have_seeds_of_their_own() -> None:
    drawn = {derive(seed, name, number) for seed in range(10) for name in ("a", "b") for number in range(10)}
    assert len(drawn) == 200
