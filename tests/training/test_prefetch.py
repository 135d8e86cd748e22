"""Batches made one step ahead."""

from __future__ import annotations

import threading

import pytest

from bandtok.training.prefetch import Prefetch


def test_steps_in_any_order_get_their_own_batch() -> None:
    batches = Prefetch(lambda step: f"batch {step}")
    asked = (0, 1, 2, 7, 8, 3, 3)
    assert [batches(step) for step in asked] == [f"batch {step}" for step in asked]


def test_the_next_batch_is_made_before_it_is_asked_for() -> None:
    made = {step: threading.Event() for step in range(3)}

    def make(step: int) -> int:
        made[step].set()
        return step

    batches = Prefetch(make)
    batches(0)
    assert made[1].wait(timeout=10)
    assert not made[2].is_set()


def test_what_goes_wrong_ahead_is_told_when_asked_for() -> None:
    def make(step: int) -> int:
        if step == 1:
            raise ValueError("no such window")
        return step

    batches = Prefetch(make)
    assert batches(0) == 0
    with pytest.raises(ValueError, match="no such window"):
        batches(1)
