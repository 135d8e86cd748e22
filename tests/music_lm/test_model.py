"""The language model: causality, prefixes, positions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from bandtok.errors import ConfigError
from bandtok.music_lm import MusicLM, MusicLMConfig, TextStates
from bandtok.music_lm.model import pack_for_decoding
from bandtok.music_lm.text import HashTextEncoder

Make = Callable[..., MusicLM]
MakeConfig = Callable[..., MusicLMConfig]


def _tokens(batch: int = 2, length: int = 9) -> torch.Tensor:
    return torch.randint(0, 11, (batch, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("rope", ["2d", "1d"])
@torch.no_grad()
def test_a_later_token_never_changes_earlier_logits(
    make_model: Make, rope: str, text: TextStates
) -> None:
    model, tokens = make_model(rope=rope), _tokens(1)
    before = model(tokens, text)
    for changed in range(tokens.shape[1]):
        other = tokens.clone()
        other[:, changed] = (other[:, changed] + 1) % 11
        after = model(other, text)
        torch.testing.assert_close(after[:, : changed + 1], before[:, : changed + 1])
        assert not torch.allclose(after[:, changed + 1 :], before[:, changed + 1 :]) or (
            changed == tokens.shape[1] - 1
        )


@torch.no_grad()
def test_a_batch_of_different_prompts_equals_single_ones(model: MusicLM) -> None:
    prompts = ["calm piano", "", "a very fast and loud piece for drums"]
    encoder, tokens = HashTextEncoder(8), _tokens(3)
    together = model(tokens, encoder.encode(prompts))
    for row, prompt in enumerate(prompts):
        alone = model(tokens[row : row + 1], encoder.encode([prompt]))
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_no_text_and_an_empty_prompt_are_the_same(model: MusicLM) -> None:
    tokens = _tokens()
    empty = HashTextEncoder(8).encode(["", ""])
    assert empty.is_null
    torch.testing.assert_close(model(tokens, empty), model(tokens))


@torch.no_grad()
def test_text_is_heard(model: MusicLM, text: TextStates) -> None:
    tokens = _tokens(1)
    assert not torch.allclose(model(tokens, text), model(tokens))


@torch.no_grad()
def test_prefix_is_unturned_and_codes_turn_with_their_frame(model: MusicLM) -> None:
    table = model.rotary(prefix_length=2, length=7, frame_offset=5)
    assert torch.equal(table.cos[:3], torch.ones(3, 4))
    assert torch.equal(table.sin[:3], torch.zeros(3, 4))
    later = model.rotary(prefix_length=0, length=10, frame_offset=4)
    torch.testing.assert_close(table.cos[3:], later.cos[4:])


@torch.no_grad()
def test_frame_offset_changes_only_the_relation_to_the_prefix(model: MusicLM) -> None:
    tokens = _tokens(1)
    assert not torch.allclose(model(tokens, frame_offset=9), model(tokens))
    torch.testing.assert_close(model(tokens[:, :1], frame_offset=9), model(tokens[:, :1]))


@torch.no_grad()
def test_without_band_embedding_2d_positions_still_tell_bands_apart(make_model: Make) -> None:
    model = make_model(band_embedding=False)
    logits = model(torch.full((1, 6), 4))
    assert not torch.allclose(logits[0, 2], logits[0, 3], atol=1e-3)


def test_gradients_reach_every_parameter(make_model: Make, text: TextStates) -> None:
    for tied in (True, False):
        model = make_model(tie_embeddings=tied)
        both = HashTextEncoder(8).encode(["a calm piano", ""])
        model(_tokens(), both).square().sum().backward()
        silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
        assert silent == []


def test_dropout_acts_only_in_training(make_model: Make) -> None:
    model = make_model(dropout=0.5)
    tokens = _tokens()
    assert torch.equal(model(tokens), model(tokens))
    model.train()
    assert not torch.equal(model(tokens), model(tokens))


@torch.no_grad()
def test_packing_changes_no_score(make_model: Make, text: TextStates) -> None:
    model = make_model()
    before = model(_tokens(1), text)
    pack_for_decoding(model)
    torch.testing.assert_close(model(_tokens(1), text), before)


def test_text_of_another_width_is_refused(model: MusicLM) -> None:
    with pytest.raises(ConfigError, match="expected \\[2, length, 8\\]"):
        model(_tokens(), HashTextEncoder(5).encode(["one", "two"]))


def test_config_round_trip_and_checks(make_config: MakeConfig) -> None:
    config = make_config(rope="1d", dropout=0.1)
    assert MusicLMConfig.from_dict(config.to_dict()) == config
    for changes in (
        {"rope": "3d"},
        {"num_layers": 0},
        {"dropout": 1.0},
        {"num_kv_heads": 3},
        {"window_frames": 1},
        {"new_setting": 1},
    ):
        with pytest.raises(ConfigError):
            make_config(**changes)


def test_default_model_fits_the_size_it_was_meant_for() -> None:
    with torch.device("meta"):
        parameters = sum(p.numel() for p in MusicLM(MusicLMConfig()).parameters())
    assert 6_000_000 < parameters < 8_000_000
