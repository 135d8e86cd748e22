"""The tokenizer network: shapes, locality, round trip of its config."""

from __future__ import annotations

import pytest
import torch

from bandtok.errors import ConfigError, GridError
from bandtok.model_specs import TOKENIZER_SPEC
from bandtok.tokenizer.config import TokenizerConfig
from bandtok.tokenizer.model import TokenizerNetwork
from bandtok.torch_checkpoint import debug_network


@pytest.fixture(scope="module")
def network() -> TokenizerNetwork:
    network = debug_network(TOKENIZER_SPEC)
    assert isinstance(network, TokenizerNetwork)
    return network.eval()


def test_default_physics_are_the_papers() -> None:
    config = TokenizerConfig()
    assert config.num_bands == 16
    assert config.samples_per_frame == 4096
    assert config.bit_rate_bps < 2300
    assert TokenizerConfig.from_dict(config.to_dict()) == config


def test_shapes(network: TokenizerNetwork) -> None:
    mel = torch.randn(2, 128, 24) - 5
    codes = network.encode_mel(mel)
    assert codes.shape == (2, 16, 3)
    assert network.decode_codes(codes).shape == mel.shape


def test_codes_see_no_farther_than_their_reach(network: TokenizerNetwork) -> None:
    reach, reduction = network.config.encoder_reach, network.config.reduction
    frames = 4 * reach + 1
    mel = torch.randn(1, 128, frames * reduction) - 5
    changed = mel.clone()
    middle = frames // 2
    changed[..., : (middle - reach) * reduction] += 3.0
    changed[..., (middle + reach + 1) * reduction :] -= 3.0
    before, after = network.encode_latents(mel), network.encode_latents(changed)
    assert torch.allclose(before[..., middle], after[..., middle], atol=1e-5)
    assert not torch.allclose(before[..., 0], after[..., 0], atol=1e-2)


def test_decoded_frames_see_no_farther_than_their_reach(network: TokenizerNetwork) -> None:
    reach, reduction = network.config.decoder_reach, network.config.reduction
    frames = 4 * reach + 1
    codes = torch.randint(0, 64, (1, 16, frames))
    changed = codes.clone()
    middle = frames // 2
    changed[..., : middle - reach] = 1
    changed[..., middle + reach + 1 :] = 2
    inside = slice(middle * reduction, (middle + 1) * reduction)
    before, after = network.decode_codes(codes), network.decode_codes(changed)
    assert torch.allclose(before[..., inside], after[..., inside], atol=1e-4)


def test_decoded_mel_stays_above_the_floor(network: TokenizerNetwork) -> None:
    mel = network.decode_codes(torch.randint(0, 64, (1, 16, 4)))
    assert mel.min() >= network.config.mel.silence


@pytest.mark.parametrize("shape", [(1, 127, 8), (1, 128, 7), (128, 8)])
def test_wrong_mels_are_refused(network: TokenizerNetwork, shape: tuple[int, ...]) -> None:
    with pytest.raises(GridError, match="multiple of 8"):
        network.encode_mel(torch.zeros(shape))


def test_bad_configs_are_refused() -> None:
    with pytest.raises(ConfigError, match="codebook_size"):
        TokenizerConfig(codebook_size=1)
    with pytest.raises(ConfigError, match="multiple"):
        TokenizerConfig(patch=3)
