"""A language model's score of tokens: what it must be for models whose answer is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from bandtok.errors import DataError, ModelMismatch
from bandtok.evaluation.perplexity import check_language_model, score_tokens, window_nats
from bandtok.lm.model import MusicLM
from bandtok.lm.token_order import flatten, token_order
from bandtok.model_specs import LM_SPEC
from bandtok.torch_checkpoint import debug_network

BANDS, SIZE, WINDOW = 16, 64, 8
FRAME_RATE = 10.0


@pytest.fixture
def network() -> MusicLM:
    found = debug_network(LM_SPEC)
    assert isinstance(found, MusicLM)
    return found.eval()


def grid(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, SIZE, (BANDS, frames))


def test_a_model_that_knows_nothing_needs_the_bit_rate(network: MusicLM) -> None:
    for part in (network.code_embedding, network.code_projection):
        torch.nn.init.zeros_(part.weight)
    score = score_tokens(network, [grid(2 * WINDOW)], frame_rate=FRAME_RATE)
    assert score.num_windows == 2
    assert len(score.rows) == BANDS
    for row in score.rows:
        assert row.nats == pytest.approx(math.log(SIZE))
        assert row.perplexity == pytest.approx(SIZE)
    assert score.nats.mean == pytest.approx(math.log(SIZE))
    assert score.bits_per_second == pytest.approx(BANDS * FRAME_RATE * math.log2(SIZE))


def test_rows_are_scored_by_the_models_own_forward(network: MusicLM) -> None:
    codes = grid(WINDOW)
    tokens = flatten(torch.from_numpy(codes))
    with torch.no_grad():
        chances = torch.log_softmax(network(tokens[None])[0], dim=-1)
    expected = np.zeros(codes.shape)
    for frame in range(WINDOW):
        for band in range(BANDS):
            expected[band, frame] = -chances[frame * BANDS + band, codes[band, frame]]
    assert np.allclose(window_nats(network, codes), expected, atol=1e-5)
    score = score_tokens(network, [codes], frame_rate=FRAME_RATE)
    assert np.allclose([row.nats for row in score.rows], expected.mean(axis=1), atol=1e-5)


def test_a_delay_model_scores_in_its_own_order(network: MusicLM) -> None:
    codes = grid(WINDOW)
    delayed = MusicLM(replace(network.config, order="delay")).eval()
    delayed.load_state_dict(network.state_dict())
    order = torch.from_numpy(token_order("delay", BANDS, WINDOW))
    tokens = flatten(torch.from_numpy(codes))[order]
    with torch.no_grad():
        chances = torch.log_softmax(delayed(tokens[None], None, order[None])[0], dim=-1)
    expected = np.zeros(codes.shape)
    for place, cell in enumerate(order.tolist()):
        expected[cell % BANDS, cell // BANDS] = -chances[place, tokens[place]]
    assert np.allclose(window_nats(delayed, codes), expected, atol=1e-5)
    assert not np.allclose(window_nats(network, codes), expected, atol=1e-3)


def test_windows_are_whole_and_do_not_hear_one_another(network: MusicLM) -> None:
    first, second = grid(WINDOW), grid(WINDOW, seed=1)
    rest = grid(WINDOW - 1, seed=2)
    together = score_tokens(
        network, [np.concatenate([first, second, rest], axis=1), rest], frame_rate=FRAME_RATE
    )
    alone = [score_tokens(network, [part], frame_rate=FRAME_RATE) for part in (first, second)]
    assert together.num_windows == 2
    assert together.nats.mean == pytest.approx(np.mean([part.nats.mean for part in alone]))
    assert alone[0].nats.mean != alone[1].nats.mean


def test_as_many_windows_as_asked_or_an_error(network: MusicLM) -> None:
    grids = [grid(3 * WINDOW), grid(2 * WINDOW, seed=1)]
    calls: list[tuple[int, int]] = []
    score = score_tokens(
        network,
        grids,
        frame_rate=FRAME_RATE,
        max_windows=3,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert score.num_windows == score.nats.count == 3
    assert calls == [(1, 3), (2, 3), (3, 3)]
    with pytest.raises(DataError, match="got 5 whole windows"):
        score_tokens(network, grids, frame_rate=FRAME_RATE, max_windows=6)
    with pytest.raises(DataError, match="got 0 whole windows"):
        score_tokens(network, [grid(WINDOW - 1)], frame_rate=FRAME_RATE)


def test_a_model_of_other_tokens_is_refused(network: MusicLM) -> None:
    check_language_model(network, BANDS, SIZE, "any")
    with pytest.raises(ModelMismatch, match="rows, codebook size"):
        check_language_model(network, BANDS, SIZE * 2, "any")
    network.config = replace(network.config, tokenizer_fingerprint="abc")
    check_language_model(network, BANDS, SIZE, "abc")
    with pytest.raises(ModelMismatch, match="--lm"):
        check_language_model(network, BANDS, SIZE, "abd")
