"""Residual codebooks follow the data layer by layer; quantizer dropout; recipes on equal terms."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise

import pytest
import torch

from bandtok.errors import ConfigError
from bandtok.tokenizer.quantizer import Quantizer
from bandtok.tokenizer.residual_quantizer import ResidualQuantizer
from bandtok.training.codebooks import EMACodebook, rule_for
from bandtok.training.recipes import tokenizer as recipes
from bandtok.training.residual import ResidualTraining, sample_num_layers
from bandtok.training.tokenizer import usage_numbers


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def latents() -> torch.Tensor:
    return torch.randn(4, 3, 1, 100, generator=generator())


@pytest.fixture
def quantizer() -> ResidualQuantizer:
    torch.manual_seed(0)
    return ResidualQuantizer(num_layers=3, codebook_size=8, code_dim=3)


def error(quantizer: ResidualQuantizer, latents: torch.Tensor, depth: int) -> float:
    codes = quantizer.encode(latents)[:, :depth]
    return float((latents - quantizer.decode(codes)).square().mean())


def test_started_layers_each_take_from_what_is_left(
    quantizer: ResidualQuantizer, latents: torch.Tensor
) -> None:
    rows = latents.permute(0, 2, 3, 1).reshape(-1, 3)
    rule_for("ema", quantizer, 0.1).start(rows, generator(1))
    errors = [float(latents.square().mean()), *(error(quantizer, latents, d) for d in (1, 2, 3))]
    assert all(after < 0.6 * before for before, after in pairwise(errors))


def test_every_layer_moves_as_a_quantizer_given_its_residual(
    quantizer: ResidualQuantizer, latents: torch.Tensor
) -> None:
    codes = quantizer.encode(latents)
    left, expected = latents, []
    for index, layer in enumerate(quantizer.codebooks()):
        alone = Quantizer(codebook_size=8, code_dim=3)
        alone.codebook.copy_(layer.codebook)
        alone.sums.copy_(layer.codebook)
        EMACodebook(alone).move(left, codes[:, index : index + 1])
        expected.append(alone.codebook)
        left = left - layer.decode(codes[:, index : index + 1])
    rule_for("ema", quantizer, 0.1).move(latents, codes)
    for layer, codebook in zip(quantizer.codebooks(), expected, strict=True):
        assert torch.equal(layer.codebook, codebook)


@pytest.mark.parametrize("name", ["ema", "gradient", "simvq"])
def test_entries_follow_latents_that_grow(
    quantizer: ResidualQuantizer, latents: torch.Tensor, name: str
) -> None:
    for layer in quantizer.codebooks():
        layer.decay = 0.8
    rule = rule_for(name, quantizer, 0.02)
    rule.start(latents.permute(0, 2, 3, 1).reshape(-1, 3), generator(1))
    grown = latents * 3
    before = error(quantizer, grown, 3)
    for _ in range(100):
        rule.move(grown, quantizer.encode(grown))
    assert error(quantizer, grown, 3) < 0.5 * before


def test_dead_entries_of_every_layer_come_back(
    quantizer: ResidualQuantizer, latents: torch.Tensor
) -> None:
    for layer in quantizer.codebooks():
        layer.codebook[3] = 1000.0
        layer.counts[3] = 1e-3
    given = list(quantizer.residuals(latents, quantizer.encode(latents)))
    rule = rule_for("ema", quantizer, 0.1)
    assert rule.reset_dead_codes(latents, generator()) == 3
    for layer, left in zip(quantizer.codebooks(), given, strict=True):
        rows = left.permute(0, 2, 3, 1).reshape(-1, 3)
        assert (rows == layer.codebook[3]).all(1).any()
    assert rule.reset_dead_codes(latents, generator()) == 0


def test_dropout_keeps_first_layers_of_its_share() -> None:
    kept = sample_num_layers(4000, 16, 0.5, generator())
    assert torch.equal(kept, sample_num_layers(4000, 16, 0.5, generator()))
    assert sorted(set(kept.tolist())) == list(range(1, 17))
    assert float((kept < 16).float().mean()) == pytest.approx(0.5 * 15 / 16, abs=0.03)
    assert (sample_num_layers(50, 16, 0.0, generator()) == 16).all()
    with pytest.raises(ConfigError, match="layer_dropout"):
        ResidualTraining(layer_dropout=1.5)


def test_usage_is_told_by_codebook() -> None:
    codes = torch.tensor([[[0, 0, 0, 0], [0, 1, 2, 3]]])
    numbers = usage_numbers(list(codes.split(1, dim=1)))
    assert (numbers["codes_used"], numbers["entropy_bits"]) == (2.5, 1.0)
    assert (numbers["codes_used_00"], numbers["codes_used_01"]) == (1, 4)
    assert (numbers["entropy_bits_00"], numbers["entropy_bits_01"]) == (0.0, 2.0)
    assert usage_numbers([codes[:, 1:]]) == {"codes_used": 4, "entropy_bits": 2.0}


@pytest.mark.parametrize(
    ("band", "residual"), [("default", "residual"), ("probe", "residual_probe")]
)
def test_residual_recipes_play_the_same_game(band: str, residual: str) -> None:
    ours, theirs = getattr(recipes, residual)(), getattr(recipes, band)()
    differing = {"network", "start_vectors_per_entry"}
    for field in fields(theirs):
        if field.name not in differing:
            assert getattr(ours, field.name) == getattr(theirs, field.name), field.name
    for name in ("base_channels", "grid_channels", "codebook_size", "bit_rate_bps"):
        assert getattr(ours.network, name) == getattr(theirs.network, name), name
