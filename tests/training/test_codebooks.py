"""The rules by which a codebook follows the data."""

from __future__ import annotations

import pytest
import torch

from bandtok.errors import ConfigError
from bandtok.tokenizer.quantizer import Quantizer
from bandtok.training.codebooks import lattice_levels, quantizer_type

CORNERS = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])


def heaps() -> torch.Tensor:
    """Latents [1, 2, 20, 20] around the four corners of a square."""
    rng = torch.Generator().manual_seed(0)
    rows = CORNERS.repeat(100, 1) + 0.1 * torch.randn(400, 2, generator=rng)
    return rows.T.reshape(1, 2, 20, 20)


@pytest.mark.parametrize("name", ["ema", "gradient", "simvq"])
def test_entries_follow_data_that_moves(name: str) -> None:
    torch.manual_seed(0)
    quantizer = Quantizer(codebook_size=4, code_dim=2, decay=0.8)
    rule = quantizer_type(name, quantizer, rate=0.02)
    rule.start(CORNERS, torch.Generator().manual_seed(0))
    stretched = heaps() * 1.5
    for _ in range(100):
        rule.move(stretched, quantizer.encode(stretched))
    assert torch.allclose(quantizer.codebook.abs(), torch.full((4, 2), 1.5), atol=0.1)


def test_a_lattice_stays_and_covers() -> None:
    quantizer = Quantizer(codebook_size=16, code_dim=2)
    rule = quantizer_type("lattice", quantizer, rate=0.1)
    before = quantizer.codebook.clone()
    rule.start(CORNERS, torch.Generator().manual_seed(0))
    rule.move(heaps(), torch.zeros(1, 20, 20, dtype=torch.int64))
    assert torch.equal(quantizer.codebook, before)
    assert len(quantizer.codebook.unique(dim=0)) == 16
    assert quantizer.codebook.aminmax().max == 1


@pytest.mark.parametrize(
    ("size", "code_dim", "levels"),
    [(4096, 4, [8, 8, 8, 8]), (1024, 4, [8, 4, 4, 8]), (64, 3, [4, 4, 4]), (8192, 5, None)],
)
def test_levels_multiply_to_the_size(size: int, code_dim: int, levels: list[int] | None) -> None:
    found = lattice_levels(size, code_dim)
    assert torch.tensor(found).prod() == size
    if levels and levels != [8, 4, 4, 8]:
        assert found == levels


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="lattice"):
        lattice_levels(7, 2)
    with pytest.raises(ConfigError, match="codebook rule"):
        quantizer_type("magic", Quantizer(4, 2), 0.1)
