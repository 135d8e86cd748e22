"""The residual quantizer against its written definition."""

from __future__ import annotations

import pytest
import torch

from bandtok.tokenizer.quantizer import Quantizer
from bandtok.tokenizer.residual_quantizer import ResidualQuantizer


@pytest.fixture
def latents() -> torch.Tensor:
    return torch.randn(2, 3, 1, 5, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def quantizer() -> ResidualQuantizer:
    torch.manual_seed(0)
    quantizer = ResidualQuantizer(num_layers=4, codebook_size=7, code_dim=3)
    for index, layer in enumerate(quantizer.codebooks()):
        layer.codebook *= 0.5**index
    return quantizer


def test_every_layer_takes_the_nearest_by_brute_force(
    quantizer: ResidualQuantizer, latents: torch.Tensor
) -> None:
    codes = quantizer.encode(latents)
    assert codes.shape == (2, 4, 5)
    assert codes.dtype == torch.int64
    for item in range(2):
        for frame in range(5):
            left = latents[item, :, 0, frame]
            for index, layer in enumerate(quantizer.codebooks()):
                nearest = (layer.codebook - left).square().sum(1).argmin()
                assert codes[item, index, frame] == nearest
                left = left - layer.codebook[nearest]


def test_decoding_sums_the_entries(quantizer: ResidualQuantizer, latents: torch.Tensor) -> None:
    codes = quantizer.encode(latents)
    decoded = quantizer.decode(codes)
    assert decoded.shape == latents.shape
    for frame in range(5):
        chosen = zip(quantizer.codebooks(), codes[1, :, frame], strict=True)
        total = torch.stack([layer.codebook[code] for layer, code in chosen]).sum(0)
        assert torch.allclose(decoded[1, :, 0, frame], total, atol=1e-6)
    first = quantizer.codebooks()[0].decode(codes[:, :1])
    assert torch.equal(quantizer.decode(codes[:, :1]), first)


def test_straight_through_gradient_is_one(
    quantizer: ResidualQuantizer, latents: torch.Tensor
) -> None:
    latents.requires_grad_()
    result = quantizer(latents)
    result.quantized.sum().backward()
    assert latents.grad is not None
    assert torch.equal(latents.grad, torch.ones_like(latents))
    assert torch.equal(result.codes, quantizer.encode(latents))
    assert torch.allclose(result.quantized, quantizer.decode(result.codes), atol=1e-6)


def test_the_commitment_is_the_mean_of_the_layers(
    quantizer: ResidualQuantizer, latents: torch.Tensor
) -> None:
    codes = quantizer.encode(latents)
    distances = [
        (latents - quantizer.decode(codes[:, : depth + 1])).square().mean() for depth in range(4)
    ]
    expected = torch.stack(distances).mean()
    assert torch.allclose(quantizer(latents).commitment_loss, expected)


@pytest.mark.parametrize("rotation", [False, True])
def test_one_layer_is_the_plain_quantizer(latents: torch.Tensor, rotation: bool) -> None:
    plain = Quantizer(codebook_size=7, code_dim=3)
    layered = ResidualQuantizer(num_layers=1, codebook_size=7, code_dim=3)
    layered.codebooks()[0].codebook.copy_(plain.codebook)
    plain.rotation = layered.rotation = rotation
    one, other = plain(latents), layered(latents)
    assert torch.equal(one.codes, other.codes)
    assert torch.allclose(one.quantized, other.quantized, atol=1e-6)
    assert torch.allclose(one.commitment_loss, other.commitment_loss)
    assert torch.equal(plain.decode(one.codes), layered.decode(one.codes))


def test_forward_changes_no_buffer(quantizer: ResidualQuantizer, latents: torch.Tensor) -> None:
    before = [b.clone() for b in quantizer.buffers()]
    quantizer.train()(latents)
    assert all(torch.equal(a, b) for a, b in zip(before, quantizer.buffers(), strict=True))


def test_dropout_decodes_the_first_layers_of_an_item(
    quantizer: ResidualQuantizer, latents: torch.Tensor
) -> None:
    quantizer.kept_layers = torch.tensor([1, 4])
    codes = quantizer.encode(latents)
    dropped = quantizer.train()(latents)
    assert torch.equal(dropped.codes, codes)
    assert torch.allclose(dropped.quantized[:1], quantizer.decode(codes[:1, :1]), atol=1e-6)
    assert torch.allclose(dropped.quantized[1:], quantizer.decode(codes[1:]), atol=1e-6)
    whole = quantizer.eval()(latents)
    assert torch.allclose(whole.quantized, quantizer.decode(codes), atol=1e-6)


def test_residuals_are_what_each_layer_was_given(
    quantizer: ResidualQuantizer, latents: torch.Tensor
) -> None:
    codes = quantizer.encode(latents)
    sums = [quantizer.decode(codes[:, :depth]) for depth in range(1, 4)]
    expected = [latents, *(latents - before for before in sums)]
    found = quantizer.residuals(latents, codes)
    for layer, given, left in zip(quantizer.codebooks(), found, expected, strict=True):
        assert torch.allclose(given, left, atol=1e-6)
        layer.codebook.zero_()  # what is handed out next was computed before


def test_only_the_codebooks_are_saved(quantizer: ResidualQuantizer) -> None:
    assert set(quantizer.state_dict()) == {f"layers.{index}.codebook" for index in range(4)}
