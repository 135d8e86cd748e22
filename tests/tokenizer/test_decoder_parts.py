"""Optional decoder parts: no effect until trained, and noise that depends on position alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.cutting import cut
from torch import Tensor, nn

import bandtok
from bandtok.backends import Runtime, load_vocoder_network
from bandtok.backends.networks import CodecNetwork
from bandtok.backends.torch_codec import TorchCodec
from bandtok.codec import WINDOW_FRAMES, Codec
from bandtok.errors import ConfigError
from bandtok.model_specs import RESIDUAL_SPEC, TOKENIZER_SPEC
from bandtok.tokenizer.config import DEBUG_TOKENIZER
from bandtok.tokenizer.decoder import FineStage, NoiseInput
from bandtok.tokenizer.mel_image import NOISE_PERIOD_FRAMES
from bandtok.tokenizer.mel_tokenizer import MelTokenizer
from bandtok.torch_checkpoint import (
    debug_network,
    grow_decoder,
    load_network,
    network_fingerprint,
    save_network,
    spec_for,
    tokenizer_network,
)


@pytest.fixture(params=[TOKENIZER_SPEC, RESIDUAL_SPEC], ids=lambda kind: kind.name)
def older(request: pytest.FixtureRequest) -> MelTokenizer:
    network = debug_network(request.param)
    assert isinstance(network, MelTokenizer)
    return network.eval()


def trained(network: MelTokenizer) -> MelTokenizer:
    """Return it with weights in its optional parts, as if they had been trained."""
    generator = torch.Generator().manual_seed(1)
    for part in network.modules():
        if isinstance(part, NoiseInput):
            weight = part.project.weight
            weight.data = 0.3 * torch.randn(weight.shape, generator=generator)
        if isinstance(part, FineStage):
            part.out.weight.data = 0.3 * torch.randn(part.out.weight.shape, generator=generator)
    return network.eval()


@pytest.fixture(scope="module")
def noisy() -> bandtok.Tokenizer:
    """The debug tokenizer with a fine stage and noise that both have an effect."""
    network = debug_network(TOKENIZER_SPEC)
    assert isinstance(network, MelTokenizer)
    network = trained(grow_decoder(network, fine_blocks=1, noise_channels=2))
    network.requires_grad_(False)
    codec = Codec(TorchCodec(network), load_vocoder_network("debug", Runtime()))
    return bandtok.Tokenizer(codec, "noisy")


def codes_of(network: MelTokenizer | CodecNetwork, frames: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 64, (1, network.config.num_bands, frames), generator=generator)


@pytest.mark.parametrize("sizes", [(2, 0), (0, 4), (2, 4)])
def test_untrained_parts_change_nothing(older: MelTokenizer, sizes: tuple[int, int]) -> None:
    grown = grow_decoder(older, fine_blocks=sizes[0], noise_channels=sizes[1]).eval()
    codes = codes_of(older, 20)
    assert torch.equal(grown.decode_codes(codes), older.decode_codes(codes))
    assert torch.equal(grown.train().decode_codes(codes), older.train().decode_codes(codes))
    assert network_fingerprint(grown) == network_fingerprint(older)
    assert spec_for(grown) == spec_for(older)
    assert grown.config.decoder_fine_blocks == sizes[0]
    optional = [m for m in grown.modules() if isinstance(m, FineStage | NoiseInput)]
    assert len(optional) == bool(sizes[0]) + bool(sizes[1]) * (1 + bool(sizes[0]))


def test_trained_parts_change_the_decoded_mel(older: MelTokenizer) -> None:
    codes = codes_of(older, 20)
    for sizes in ((2, 0), (0, 4)):
        grown = trained(grow_decoder(older, fine_blocks=sizes[0], noise_channels=sizes[1]))
        assert not torch.allclose(grown.decode_codes(codes), older.decode_codes(codes), atol=0.01)


def test_growing_in_two_steps_keeps_what_was_trained(older: MelTokenizer) -> None:
    first = trained(grow_decoder(older, fine_blocks=2))
    second = grow_decoder(first, fine_blocks=2, noise_channels=4).eval()
    codes = codes_of(older, 20)
    assert torch.equal(second.decode_codes(codes), first.decode_codes(codes))
    assert grow_decoder(second) is second


def test_a_part_of_another_size_is_refused(older: MelTokenizer) -> None:
    grown = grow_decoder(older, fine_blocks=2, noise_channels=4)
    with pytest.raises(ConfigError, match=r"got decoder_fine_blocks 1, but .* has 2 already"):
        grow_decoder(grown, fine_blocks=1)
    with pytest.raises(ConfigError, match=r"got decoder_noise_channels 0, but .* has 4 already"):
        grow_decoder(grown, noise_channels=0)
    with pytest.raises(ConfigError, match="expected 0 or more"):
        grow_decoder(older, fine_blocks=-1)
    with pytest.raises(ConfigError, match="multiple of 2"):
        replace(DEBUG_TOKENIZER, patch=1, decoder_fine_blocks=1)


def test_configs_without_the_fields_load(older: MelTokenizer, tmp_path: Path) -> None:
    save_network(older, tmp_path, spec_for(older).name)
    path = tmp_path / "config.json"
    content = json.loads(path.read_text())
    names = [name for name in content["config"] if name.startswith(("decoder_fine", "decoder_noi"))]
    assert len(names) == 3
    for name in names:
        del content["config"][name]
    path.write_text(json.dumps(content))
    assert load_network(TOKENIZER_SPEC, tmp_path).config == older.config


def test_a_grown_tokenizer_is_saved_with_its_noise(older: MelTokenizer, tmp_path: Path) -> None:
    grown = grow_decoder(older, fine_blocks=1, noise_channels=2)
    save_network(grown, tmp_path, spec_for(grown).name)
    loaded = load_network(TOKENIZER_SPEC, tmp_path)
    assert loaded.config == grown.config
    tiles = {name: b for name, b in grown.named_buffers() if name.endswith(".tile")}
    assert len(tiles) == 2
    assert all(torch.equal(loaded.get_buffer(name), tile) for name, tile in tiles.items())


def test_the_windows_of_the_codec_begin_at_multiples_of_the_noise_period() -> None:
    assert WINDOW_FRAMES % NOISE_PERIOD_FRAMES == 0


@pytest.mark.parametrize("size", [1, 7, 128, 200])
def test_with_noise_the_waveform_does_not_depend_on_how_the_codes_are_cut(
    noisy: bandtok.Tokenizer, size: int
) -> None:
    codes = codes_of(noisy.codec.network, 280).numpy()
    whole = noisy.decode_codes(codes)[0, 0]
    pieces = np.concatenate(list(noisy.codec.decode_blocks(cut(codes[0], size))))
    assert np.array_equal(pieces, whole)


@pytest.mark.parametrize(("first", "last"), [(0, 5), (128, 129), (120, 140), (130, 280)])
def test_with_noise_a_range_is_cut_out_of_the_whole(
    noisy: bandtok.Tokenizer, first: int, last: int
) -> None:
    codes = np.random.default_rng(0).integers(0, 64, (16, 280))
    grid = bandtok.TokenGrid(codes=codes, codebook_size=64)
    whole = noisy.decode(grid).waveform[:, first * 4096 : last * 4096]
    part = noisy.decode_range(grid, first * 4096, last * 4096).waveform
    assert np.array_equal(part, whole)


def test_windows_have_the_noise_of_the_whole_piece(noisy: bandtok.Tokenizer) -> None:
    """No seam: a window's context has the noise of the frames that it repeats."""
    codes = codes_of(noisy.codec.network, 200)[0].numpy()
    whole = noisy.codec.network.decode_codes(codes, 0)
    inside = slice(8 * 20, 8 * 180)
    assert np.allclose(noisy.codec.decode_mel(codes)[:, inside], whole[:, inside], atol=1e-3)


def test_noise_differs_between_positions_and_repeats_with_its_period() -> None:
    network = debug_network(TOKENIZER_SPEC)
    assert isinstance(network, MelTokenizer)
    network = trained(grow_decoder(network, fine_blocks=1, noise_channels=2))
    codes = codes_of(network, 1).expand(-1, -1, 30)  # the same codes at every position
    inside = slice(64, -64)
    start, later, negative, next_period = (
        network.decode_codes(codes, first)[..., inside]
        for first in (0, 5, 5 - NOISE_PERIOD_FRAMES, 5 + NOISE_PERIOD_FRAMES)
    )
    assert not torch.allclose(start, later, atol=0.01)
    assert torch.equal(later, next_period)
    assert torch.equal(later, negative)
    # What lies five frames on in the first piece is the beginning of the second.
    assert torch.allclose(start[..., 40:], later[..., :-40], atol=1e-4)


def test_training_draws_other_noise_each_time(older: MelTokenizer) -> None:
    network = trained(grow_decoder(older, noise_channels=2)).train()
    codes = codes_of(network, 8)
    first, second = (network.decode_codes(codes) for _ in range(2))
    assert not torch.allclose(first, second, atol=0.01)


def test_decoded_frames_of_a_grown_decoder_see_no_farther_than_their_reach() -> None:
    config = replace(DEBUG_TOKENIZER, decoder_fine_blocks=4, decoder_noise_channels=2)
    network = trained(tokenizer_network(config))
    for part in network.decoder.modules():
        if isinstance(part, nn.Conv2d) and part.kernel_size == (3, 3):
            part.weight.data = torch.randn_like(part.weight) * 0.1
    reach, reduction = config.decoder_reach, config.reduction
    codes = codes_of(network, 4 * reach + 1)
    changed, middle = codes.clone(), 2 * reach
    changed[..., : middle - reach] = 1
    changed[..., middle + reach + 1 :] = 2
    inside = slice(middle * reduction, (middle + 1) * reduction)
    before, after = network.decode_codes(codes), network.decode_codes(changed)
    assert torch.allclose(before[..., inside], after[..., inside], atol=1e-4)
    assert not torch.allclose(before, after, atol=0.1)
