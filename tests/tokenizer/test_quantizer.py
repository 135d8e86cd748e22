"""The quantizer against its written definition."""

from __future__ import annotations

import pytest
import torch

from bandtok.tokenizer.quantizer import Quantizer, rotated


@pytest.fixture
def latents() -> torch.Tensor:
    return torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def quantizer() -> Quantizer:
    torch.manual_seed(0)
    return Quantizer(codebook_size=7, code_dim=3)


def test_nearest_by_brute_force(quantizer: Quantizer, latents: torch.Tensor) -> None:
    codes = quantizer.encode(latents)
    assert codes.shape == (2, 4, 5)
    for b, band, frame in [(0, 0, 0), (0, 3, 4), (1, 2, 1), (1, 0, 3)]:
        distances = (quantizer.codebook - latents[b, :, band, frame]).square().sum(1)
        assert codes[b, band, frame] == distances.argmin()


def test_straight_through_gradient_is_one(quantizer: Quantizer, latents: torch.Tensor) -> None:
    latents.requires_grad_()
    result = quantizer(latents)
    result.quantized.sum().backward()
    assert latents.grad is not None
    assert torch.equal(latents.grad, torch.ones_like(latents))
    assert torch.allclose(result.quantized, quantizer.decode(result.codes), atol=1e-6)


def test_rotation_gives_the_entry_and_keeps_angles(latents: torch.Tensor) -> None:
    entries = torch.randn(latents.shape, generator=torch.Generator().manual_seed(1))
    latents.requires_grad_()
    passed = rotated(latents, entries)
    assert torch.allclose(passed, entries, atol=1e-5)
    pull = torch.randn(latents.shape, generator=torch.Generator().manual_seed(2))
    (passed * pull).sum().backward()
    assert latents.grad is not None
    at_entry = torch.cosine_similarity(pull, entries, dim=1)
    at_latent = torch.cosine_similarity(latents.grad, latents.detach(), dim=1)
    assert torch.allclose(at_entry, at_latent, atol=1e-5)


def test_forward_changes_no_buffer(quantizer: Quantizer, latents: torch.Tensor) -> None:
    before = [b.clone() for b in quantizer.buffers()]
    quantizer(latents)
    assert all(torch.equal(a, b) for a, b in zip(before, quantizer.buffers(), strict=True))


def test_update_is_the_written_average(quantizer: Quantizer, latents: torch.Tensor) -> None:
    codes = quantizer.encode(latents)
    counts, sums = quantizer.counts.clone(), quantizer.sums.clone()
    quantizer.update(latents, codes)
    rows = latents.permute(0, 2, 3, 1)
    for entry in range(7):
        chosen = rows[codes == entry]
        count = 0.99 * counts[entry] + 0.01 * len(chosen)
        total = 0.99 * sums[entry] + 0.01 * chosen.sum(0)
        assert torch.allclose(quantizer.counts[entry], count)
        assert torch.allclose(quantizer.codebook[entry], total / count, atol=1e-6)


def test_dead_entries_come_back_with_fresh_averages(
    quantizer: Quantizer, latents: torch.Tensor
) -> None:
    quantizer.codebook[3] = 1000.0
    quantizer.counts[3] = 1e-3
    assert quantizer.reset_dead_codes(latents, torch.Generator().manual_seed(0)) == 1
    rows = latents.permute(0, 2, 3, 1).reshape(-1, 3)
    assert (rows == quantizer.codebook[3]).all(1).any()
    assert torch.allclose(quantizer.sums[3] / quantizer.counts[3], quantizer.codebook[3])
    assert quantizer.reset_dead_codes(latents, torch.Generator().manual_seed(0)) == 0


def test_initialisation_is_better_than_picking_rows(quantizer: Quantizer) -> None:
    rows = torch.randn(700, 3, generator=torch.Generator().manual_seed(1))

    def error(iterations: int) -> float:
        quantizer.initialize(rows, torch.Generator().manual_seed(3), iterations)
        return float(torch.cdist(rows, quantizer.codebook).min(dim=1).values.square().mean())

    assert error(20) < 0.85 * error(0)
    assert torch.equal(quantizer.counts, torch.ones(7))


def test_only_the_codebook_is_saved(quantizer: Quantizer) -> None:
    assert set(quantizer.state_dict()) == {"codebook"}
