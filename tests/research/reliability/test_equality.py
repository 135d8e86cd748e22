"""A share of the random cases that the long run makes hundreds of."""

from __future__ import annotations

import pytest

import bandtok
from research.reliability.equality import run_cases

pytestmark = pytest.mark.slow


def test_random_cuts_batches_and_ranges_agree_with_the_whole() -> None:
    tokenizer = bandtok.Tokenizer.from_pretrained("debug", device="cpu")
    cases = list(run_cases(tokenizer, 21, seed=7, max_seconds=30.0))
    assert [case for case in cases if not case.equal] == []
    assert len({case.kind for case in cases}) == 7
