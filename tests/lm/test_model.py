"""The language model: causality in every order, text, positions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from bandtok.errors import ConfigError
from bandtok.lm.config import MusicLMConfig
from bandtok.lm.model import MusicLM
from bandtok.lm.text_embeddings import HashTextEncoder, TextEmbeddings
from bandtok.lm.token_order import infill_order, token_order

Make = Callable[..., MusicLM]
MakeConfig = Callable[..., MusicLMConfig]


def _infill_order(keep: list[list[bool]]) -> torch.Tensor:
    return torch.from_numpy(infill_order(np.array(keep)))


# Windows of 3 bands and 4 frames: nothing known; a past and a future known; some bands known.
ORDERS = {
    "raster": torch.arange(12),
    "delay": torch.from_numpy(token_order("delay", 3, 4)),
    "gap": _infill_order([[True, False, False, True]] * 3),
    "bands": _infill_order([[True] * 4, [False] * 4, [True] * 4]),
    "unfinished": _infill_order([[True, False, False, True]] * 3)[:8],
}


def _tokens(batch: int = 2, length: int = 9) -> torch.Tensor:
    return torch.randint(0, 11, (batch, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("rope", ["2d", "1d"])
@torch.no_grad()
def test_a_later_token_never_changes_earlier_logits(
    make_model: Make, rope: str, text: TextEmbeddings, order: torch.Tensor
) -> None:
    model, tokens = make_model(rope=rope), _tokens(1, len(order))
    before = model(tokens, text, order[None])
    for changed in range(tokens.shape[1]):
        other = tokens.clone()
        other[:, changed] = (other[:, changed] + 1) % 11
        after = model(other, text, order[None])
        torch.testing.assert_close(after[:, : changed + 1], before[:, : changed + 1])
        assert not torch.allclose(after[:, changed + 1 :], before[:, changed + 1 :]) or (
            changed == tokens.shape[1] - 1
        )


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
@torch.no_grad()
def test_rows_with_codes_of_their_own_are_those_of_a_larger_shared_codebook(
    make_model: Make, text: TextEmbeddings, order: torch.Tensor
) -> None:
    own = make_model(rows_share_codes=False)
    shared = make_model(codebook_size=3 * 11)
    shared.load_state_dict(own.state_dict())
    tokens, rows = _tokens(1, len(order)), order % 3
    found = own(tokens, text, order[None])
    whole = shared(tokens + 11 * rows, text, order[None])
    assert found.shape == (1, len(order), 11)
    for place, row in enumerate(rows.tolist()):
        torch.testing.assert_close(found[0, place], whole[0, place, 11 * row : 11 * row + 11])
    if torch.equal(order, ORDERS["raster"]):
        torch.testing.assert_close(own(tokens, text), found)


@torch.no_grad()
def test_raster_order_is_the_order_of_nothing_known(model: MusicLM, text: TextEmbeddings) -> None:
    tokens, order = _tokens(1, 12), ORDERS["raster"]
    torch.testing.assert_close(model(tokens, text, order[None]), model(tokens, text))


@torch.no_grad()
def test_the_order_is_heard(model: MusicLM) -> None:
    tokens = _tokens(1, 12)
    raster, gap = (model(tokens, None, ORDERS[name][None]) for name in ("raster", "gap"))
    # Both begin with frame 0; then one is asked for frame 1 and the other for frame 3.
    torch.testing.assert_close(raster[:, :3], gap[:, :3])
    assert not torch.allclose(raster[:, 3], gap[:, 3], atol=1e-3)


@torch.no_grad()
def test_rows_with_orders_of_their_own_equal_single_ones(model: MusicLM) -> None:
    tokens, orders = _tokens(3, 12), torch.stack([ORDERS[n] for n in ("raster", "gap", "bands")])
    together = model(tokens, None, orders)
    for row in range(3):
        alone = model(tokens[row : row + 1], None, orders[row : row + 1])
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_a_known_code_is_heard_from_both_sides_and_other_bands(model: MusicLM) -> None:
    keep = torch.tensor([[True, False, False, True], [True] * 4, [True] * 4])
    order = _infill_order(keep.tolist())
    tokens = _tokens(1, 12)
    before = model(tokens, None, order[None])[0, 10]
    for known in range(10):
        other = tokens.clone()
        other[0, known] = (other[0, known] + 1) % 11
        assert not torch.allclose(model(other, None, order[None])[0, 10], before, atol=1e-5)


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
    assert empty.is_empty
    torch.testing.assert_close(model(tokens, empty), model(tokens))


@torch.no_grad()
def test_text_is_heard_from_the_first_code_on(model: MusicLM, text: TextEmbeddings) -> None:
    tokens = _tokens(1)
    assert not torch.allclose(model(tokens, text)[:, 0], model(tokens)[:, 0])


@torch.no_grad()
def test_a_new_model_does_not_hear_the_text_yet(
    make_config: MakeConfig, text: TextEmbeddings
) -> None:
    model = MusicLM(make_config()).eval()
    torch.testing.assert_close(model(_tokens(1), text), model(_tokens(1)))


@torch.no_grad()
@torch.no_grad()
def test_a_query_picks_out_a_word_wherever_it_stands(make_model: Make) -> None:
    model, encoder = make_model(text_queries=1), HashTextEncoder(8)
    condition = model.condition
    word = condition.text_pooling.norm(torch.from_numpy(encoder.encode(["slow"]).states[0, 1]))
    condition.inner.weight[:, :8] = 0  # the mean is not heard
    condition.text_pooling.queries.copy_(50 * word)
    first, last, without = (
        condition(encoder.encode([text]), 1)
        for text in ("slow piano piece", "a harp alone is slow", "a harp alone is fast")
    )
    torch.testing.assert_close(first, last)
    assert not torch.allclose(last, without, atol=0.01)


@torch.no_grad()
def test_queries_begin_as_the_mean_and_none_hear_it_alone(make_config: MakeConfig) -> None:
    text = HashTextEncoder(8).encode(["a calm piano"])
    states = TextEmbeddings(states=text.states[:, 1:], mask=text.mask[:, 1:])
    model = MusicLM(make_config(text_queries=2))
    words = model.condition.text_pooling
    mean, first, second = words(states)[0].view(3, 8)
    torch.testing.assert_close(first, words.norm(torch.from_numpy(states.states[0])).mean(dim=0))
    assert torch.equal(first, second)
    assert not torch.allclose(mean, first)
    plain = MusicLM(make_config(text_queries=0))
    assert plain.condition.inner.in_features == 8
    assert "condition.text_pooling.queries" not in plain.state_dict()


def test_keys_turn_with_the_code_they_hold_and_queries_with_the_cell_asked_for(
    model: MusicLM,
) -> None:
    table = model.rotary(ORDERS["gap"][None])
    queries, keys = table.cos[0, 0], table.cos[0, -1]
    assert torch.equal(keys[0], torch.ones(4))
    torch.testing.assert_close(keys[1:], queries[:-1])
    raster = model.rotary(ORDERS["raster"][None])
    torch.testing.assert_close(queries[3], raster.cos[0, 0, 9])


@torch.no_grad()
def test_code_vectors_start_from_the_codebook(make_config: MakeConfig) -> None:
    model, codebook = MusicLM(make_config()), torch.randn(11, 4) * 7 + 3
    model.start_from_codebook(codebook)
    vectors = model.code_vectors.weight[:11]
    torch.testing.assert_close(
        vectors - vectors[0], (codebook - codebook[0]) / codebook.sub(codebook.mean(0)).std()
    )
    with pytest.raises(ConfigError, match="code_dim=3"):
        model.start_from_codebook(torch.randn(11, 3))
    with pytest.raises(ConfigError, match="expected"):
        model.start_from_codebook(torch.randn(3, 11, 4))


@torch.no_grad()
def test_codes_of_each_row_start_from_its_codebook(make_config: MakeConfig) -> None:
    model = MusicLM(make_config(rows_share_codes=False))
    plane = torch.randn(3, 11, 4) * torch.tensor([1.0, 5.0, 9.0])[:, None, None]
    codebooks = plane @ torch.linalg.qr(torch.randn(6, 6)).Q[:4]  # in a plane of six dimensions
    model.start_from_codebook(codebooks + 2)
    vectors = model.code_vectors.weight[:33].unflatten(0, (3, 11))
    for found, own in zip(vectors, plane, strict=True):
        ratio = torch.cdist(found, found) / torch.cdist(own, own)
        off = ~torch.eye(11, dtype=torch.bool)
        torch.testing.assert_close(ratio[off], ratio[0, 1].expand(110), rtol=1e-3, atol=0)
        torch.testing.assert_close(found.std(), torch.tensor(1.0), rtol=1e-3, atol=0)


def test_gradients_reach_every_parameter(model: MusicLM) -> None:
    both = HashTextEncoder(8).encode(["a calm piano", ""])
    orders = torch.stack([ORDERS["raster"], ORDERS["gap"]])
    model(_tokens(2, 12), both, orders).square().sum().backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_dropout_acts_only_in_training(make_model: Make) -> None:
    model = make_model(dropout=0.5)
    tokens = _tokens()
    assert torch.equal(model(tokens), model(tokens))
    model.train()
    assert not torch.equal(model(tokens), model(tokens))


def test_text_of_another_width_is_refused(model: MusicLM) -> None:
    with pytest.raises(ConfigError, match="expected \\[batch, length, 8\\]"):
        model(_tokens(), HashTextEncoder(5).encode(["one", "two"]))


def test_negative_queries_are_refused(make_config: MakeConfig) -> None:
    with pytest.raises(ConfigError, match="text_queries -1"):
        make_config(text_queries=-1)


def test_config_round_trip_and_checks(make_config: MakeConfig) -> None:
    config = make_config(rope="1d", dropout=0.1, order="delay", rows_share_codes=False)
    assert MusicLMConfig.from_dict(config.to_dict()) == config
    for changes in (
        {"rope": "3d"},
        {"order": "spiral"},
        {"num_layers": 0},
        {"code_dim": 0},
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
    assert 6_000_000 < parameters < 15_000_000
