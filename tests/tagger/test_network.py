"""The network: shapes, what it may depend on, and the layers against their definition."""

from __future__ import annotations

import pytest
import torch

from bandtok.tagger.network import MusicnnNetwork


@pytest.fixture(scope="module")
def network() -> MusicnnNetwork:
    torch.manual_seed(0)
    network = MusicnnNetwork(7).eval().requires_grad_(False)
    for norm in network.modules():
        if isinstance(norm, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            torch.nn.init.normal_(norm.weight)  # negative ones too: the norm is before the maximum
            torch.nn.init.normal_(norm.bias)
    return network


def test_shapes_and_size(network: MusicnnNetwork) -> None:
    logits, embedding = network(torch.rand(2, 187, 96))
    assert (logits.shape, embedding.shape) == ((2, 7), (2, 200))
    shapes = {name: tuple(value.shape) for name, value in network.named_parameters()}
    assert shapes["middle.0.conv.weight"] == (64, 561, 7)
    assert shapes["dense.weight"] == (200, 1506)


def test_a_patch_does_not_depend_on_its_batch(network: MusicnnNetwork) -> None:
    patches = torch.rand(3, 187, 96)
    whole = network(patches)[0]
    single = torch.cat([network(patch[None])[0] for patch in patches])
    torch.testing.assert_close(whole, single, rtol=1e-4, atol=1e-5)


def test_every_part_of_a_patch_counts(network: MusicnnNetwork) -> None:
    patch = torch.rand(1, 187, 96)
    logits = network(patch)[0]
    for part in (patch[:, :5], patch[:, -5:], patch[:, :, :3], patch[:, :, -3:]):
        changed = patch.clone()
        view = changed.as_strided(part.shape, part.stride(), part.storage_offset())
        view += 3
        assert (network(changed)[0] - logits).abs().max() > 1e-4


def test_the_front_is_the_strongest_bin_after_the_norm(network: MusicnnNetwork) -> None:
    image = torch.rand(1, 1, 40, 96)
    block = network.front[4]
    found = block(image)
    assert found.shape == (1, 51, 40)
    padded = torch.nn.functional.pad(image, (0, 0, 15, 16))
    frame = padded[0, 0, 11 : 11 + 32]  # of frame 11, all bins
    raw = torch.einsum("tb,ft->fb", frame, block.conv.weight[:, 0, :, 0])
    raw = (raw + block.conv.bias[:, None]).relu()
    scale = block.norm.weight / (block.norm.running_var + 1e-3).sqrt()
    expected = (raw - block.norm.running_mean[:, None]) * scale[:, None] + block.norm.bias[:, None]
    torch.testing.assert_close(found[0, :, 11], expected.amax(dim=1), rtol=1e-4, atol=1e-4)
