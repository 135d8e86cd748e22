"""What is known of a window in training."""

from __future__ import annotations

import numpy as np
import torch

from bandtok.training.regions import middle_gap, sample_known_cells


def test_every_kind_is_drawn_and_something_is_always_unknown() -> None:
    rng = np.random.default_rng(0)
    kinds = {"gap": 0, "bands": 0, "rectangles": 0}
    for _ in range(300):
        keep = sample_known_cells(4, 10, rng)
        assert keep.shape == (4, 10)
        unknown = ~keep
        assert unknown.any()
        rows, columns = unknown.any(dim=1), unknown.any(dim=0)
        if rows.all() and not columns.all():
            kinds["gap"] += 1
        elif columns.all() and not rows.all():
            kinds["bands"] += 1
        elif not rows.all() and not columns.all():
            kinds["rectangles"] += 1
    assert min(kinds.values()) > 30


def test_one_band_and_one_frame_can_be_drawn() -> None:
    rng = np.random.default_rng(0)
    assert not sample_known_cells(1, 1, rng).any()


def test_the_gap_of_validation_is_the_middle_third() -> None:
    keep = middle_gap(2, 9)
    assert torch.equal(keep, torch.tensor([[True] * 3 + [False] * 3 + [True] * 3] * 2))
