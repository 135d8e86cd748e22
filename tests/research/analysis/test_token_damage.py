"""What wrong tokens do to later ones, for models and tokenizers whose answer is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from bandtok.errors import DataError, GridError
from bandtok.evaluation.perplexity import window_nats
from bandtok.lm.model import MusicLM
from bandtok.model_specs import LM_SPEC
from bandtok.torch_checkpoint import debug_network
from research.analysis.token_damage import (
    WrongPlace,
    prediction_damage,
    reencoded_damage,
    rewritten_damage,
    wrong_places,
)

ROWS, SIZE, FRAMES, LATER = 16, 64, 8, 2
FRAME = FRAMES - 1 - LATER


@pytest.fixture
def network() -> MusicLM:
    """A model whose inputs matter: new ones hardly hear them."""
    found = debug_network(LM_SPEC)
    assert isinstance(found, MusicLM)
    with torch.no_grad():
        for index, parameter in enumerate(found.parameters()):
            noise = torch.Generator().manual_seed(index)
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=noise))
    return found.eval()


@pytest.fixture
def places() -> list[WrongPlace]:
    grids = [np.random.default_rng(n).integers(0, SIZE, (ROWS, 20 + n)) for n in range(2)]
    return wrong_places(grids, SIZE, num_places=3, frames=FRAMES, later_frames=LATER, seed=4)


def test_only_the_first_tokens_of_one_frame_are_made_wrong(places: list[WrongPlace]) -> None:
    for place in places:
        assert place.codes.shape == (ROWS, FRAMES)
        assert place.frame == FRAME
        assert (place.column != place.codes[:, FRAME]).all()
        changed = place.damaged(3) != place.codes
        assert changed.sum() == 3
        assert changed[:3, FRAME].all()


def test_the_extra_cost_is_that_of_later_true_tokens(
    network: MusicLM, places: list[WrongPlace]
) -> None:
    one, all_rows = prediction_damage(network, places, [1, ROWS])
    for index, place in enumerate(places):
        extra = window_nats(network, place.damaged(1)) - window_nats(network, place.codes)
        assert one.same_frame[index] == pytest.approx(extra[1:, FRAME].mean())
        assert one.later_frames[index] == pytest.approx(extra[:, FRAME + 1 :].mean())
        assert np.abs(extra[:, :FRAME]).max() < 1e-5  # nothing comes before its cause
    assert np.isnan(all_rows.same_frame).all()
    assert np.isfinite(all_rows.later_frames).all()


def test_what_is_not_wrong_changes_nothing(network: MusicLM, places: list[WrongPlace]) -> None:
    harmless = [replace(place, column=place.codes[:, FRAME]) for place in places]
    same, chance = rewritten_damage(network, harmless, [1, 4], seed=1)
    assert [one.count for one in same] == [one.count for one in chance] == [1, 4]
    for found, other in zip(same, chance, strict=True):
        assert not found.same_frame.any()
        assert not found.later_frames.any()
        assert other.same_frame.mean() > 0.5  # with other random numbers hardly a token is the same


def test_a_model_that_hears_its_input_writes_on_differently(
    network: MusicLM, places: list[WrongPlace]
) -> None:
    (found,), _ = rewritten_damage(network, places, [4], seed=1)
    assert 0 < found.same_frame.mean() <= 1
    deaf = MusicLM(network.config).eval()
    with torch.no_grad():
        deaf.code_vectors.weight.zero_()
        deaf.code_embedding.weight.copy_(deaf.code_embedding.weight[:1].expand(SIZE + 1, -1))
    (nothing,), _ = rewritten_damage(deaf, places, [4], seed=1)
    assert not nothing.same_frame.any()
    assert not nothing.later_frames.any()


class FakeTokenizer:
    """Decodes codes to themselves; encodes them again, independently or each from those before."""

    def __init__(self, hierarchical: bool) -> None:
        self.hierarchical = hierarchical

    def decode_codes(self, codes: np.ndarray) -> np.ndarray:
        return codes

    def encode_mel(self, mel: np.ndarray) -> np.ndarray:
        return mel.cumsum(axis=0) if self.hierarchical else mel


@pytest.mark.parametrize(("hierarchical", "share"), [(False, 0.0), (True, 1.0)])
def test_encoding_again_shows_a_hierarchy(
    places: list[WrongPlace], hierarchical: bool, share: float
) -> None:
    tokenizer: Any = FakeTokenizer(hierarchical)
    (found,) = reencoded_damage(tokenizer, places, [1])
    assert found.same_frame.tolist() == [share] * 3
    assert found.later_frames.tolist() == [0.0] * 3


def test_what_cannot_be_made_wrong_is_refused() -> None:
    grid = np.zeros((ROWS, FRAMES), np.int64)
    with pytest.raises(GridError, match="codebook_size 1"):
        wrong_places([grid], 1, num_places=1, frames=4, later_frames=1)
    with pytest.raises(DataError, match="windows of 9 frames"):
        wrong_places([grid], SIZE, num_places=1, frames=9, later_frames=1)
    with pytest.raises(DataError, match="a frame before"):
        wrong_places([grid], SIZE, num_places=1, frames=4, later_frames=3)
