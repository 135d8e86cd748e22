"""The residual tokenizer network: shapes, budget, locality, model folders, the whole codec."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.cutting import cut
from torch.utils.flop_counter import FlopCounterMode

import bandtok
from bandtok.errors import CheckpointError, ConfigError, GridError, ModelMismatch
from bandtok.model_specs import RESIDUAL_SPEC, TOKENIZER_SPEC
from bandtok.tokenizer.config import TokenizerConfig
from bandtok.tokenizer.mel_image import MelImageConfig
from bandtok.tokenizer.residual_config import DEBUG_RESIDUAL, ResidualConfig
from bandtok.tokenizer.residual_model import ResidualNetwork
from bandtok.torch_checkpoint import (
    debug_network,
    load_network,
    network_fingerprint,
    save_network,
    spec_for,
    tokenizer_network,
)


@pytest.fixture
def network() -> ResidualNetwork:
    network = debug_network(RESIDUAL_SPEC)
    assert isinstance(network, ResidualNetwork)
    return network.eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "model"
    save_network(debug_network(RESIDUAL_SPEC), folder, RESIDUAL_SPEC.name)
    return folder


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> bandtok.Tokenizer:
    return bandtok.Tokenizer.from_pretrained(folder, vocoder="debug")


def parameters_and_flops(config: MelImageConfig) -> tuple[int, int]:
    """Count trained parameters, and operations from mel to mel with the search for codes."""
    with torch.device("meta"):
        network = tokenizer_network(config)
        with FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, 128, 128))
    return sum(p.numel() for p in network.parameters()), counter.get_total_flops()


def test_physics_and_budget_are_the_band_tokenizers() -> None:
    band, residual = TokenizerConfig(), ResidualConfig()
    assert residual.num_bands == 16
    for name in ("bit_rate_bps", "frame_rate", "encoder_reach", "decoder_reach", "codebook_size"):
        assert getattr(residual, name) == getattr(band, name), name
    for ours, theirs in zip(
        parameters_and_flops(residual), parameters_and_flops(band), strict=True
    ):
        assert ours == pytest.approx(theirs, rel=0.1)
    assert ResidualConfig.from_dict(residual.to_dict()) == residual


def test_shapes(network: ResidualNetwork) -> None:
    mel = torch.randn(2, 128, 24) - 5
    codes = network.encode_mel(mel)
    assert network.encode_latents(mel).shape == (2, 8, 1, 3)
    assert codes.shape == (2, 16, 3)
    assert network.decode_codes(codes).shape == mel.shape
    assert network.decode_codes(codes).min() >= network.config.mel.silence


def test_every_layer_is_heard_by_every_band(network: ResidualNetwork) -> None:
    codes = torch.randint(0, 64, (1, 16, 3))
    before = network.decode_codes(codes)
    for layer in (0, 15):
        changed = codes.clone()
        changed[:, layer] = (changed[:, layer] + 1) % 64
        moved = (network.decode_codes(changed) - before).abs().reshape(16, 8, 24)
        assert (moved.amax((1, 2)) > 0).all()


def test_codes_see_no_farther_than_their_reach(network: ResidualNetwork) -> None:
    reach, reduction = network.config.encoder_reach, network.config.reduction
    frames = 4 * reach + 1
    mel = torch.randn(1, 128, frames * reduction) - 5
    changed, middle = mel.clone(), frames // 2
    changed[..., : (middle - reach) * reduction] += 3.0
    changed[..., (middle + reach + 1) * reduction :] -= 3.0
    before, after = network.encode_latents(mel), network.encode_latents(changed)
    assert torch.allclose(before[..., middle], after[..., middle], atol=1e-5)
    assert not torch.allclose(before[..., 0], after[..., 0], atol=1e-2)


def test_decoded_frames_see_no_farther_than_their_reach(network: ResidualNetwork) -> None:
    reach, reduction = network.config.decoder_reach, network.config.reduction
    frames = 4 * reach + 1
    codes = torch.randint(0, 64, (1, 16, frames))
    changed, middle = codes.clone(), frames // 2
    changed[..., : middle - reach] = 1
    changed[..., middle + reach + 1 :] = 2
    inside = slice(middle * reduction, (middle + 1) * reduction)
    before, after = network.decode_codes(codes), network.decode_codes(changed)
    assert torch.allclose(before[..., inside], after[..., inside], atol=1e-4)
    assert not torch.allclose(before[..., :reduction], after[..., :reduction], atol=1e-2)


def test_bad_configs_are_refused() -> None:
    for bad in (0, 65):
        with pytest.raises(ConfigError, match="num_layers"):
            ResidualConfig(num_layers=bad)
    with pytest.raises(ConfigError, match="codebook_size"):
        ResidualConfig(codebook_size=1)


def test_a_tokenizer_folder_may_hold_either_kind(folder: Path, tmp_path: Path) -> None:
    loaded = load_network(TOKENIZER_SPEC, folder)
    assert isinstance(loaded, ResidualNetwork)
    assert spec_for(loaded) is RESIDUAL_SPEC
    assert loaded.config == DEBUG_RESIDUAL
    for name, tensor in debug_network(RESIDUAL_SPEC).state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor.half().float()), name
    save_network(debug_network(TOKENIZER_SPEC), tmp_path, TOKENIZER_SPEC.name)
    with pytest.raises(CheckpointError, match="holds a tokenizer; expected a residual"):
        load_network(RESIDUAL_SPEC, tmp_path)


def test_the_fingerprint_is_of_config_encoder_and_codebooks(network: ResidualNetwork) -> None:
    before = network_fingerprint(network)
    for change, moves in (
        (lambda n: n.decoder.spread.bias, False),
        (lambda n: n.decoder.image.out.bias, False),
        (lambda n: n.encoder.mix.bias, True),
        (lambda n: n.encoder.image.out.bias, True),
        (lambda n: n.quantizer.layers[15].codebook, True),
    ):
        changed = copy.deepcopy(network)
        change(changed).data += 0.5
        assert (network_fingerprint(changed) != before) == moves


def test_a_file_is_encoded_and_comes_back(
    tokenizer: bandtok.Tokenizer, folder: Path, tmp_path: Path
) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, (1, 30_000)).astype(np.float32)
    bandtok.Audio(samples, 44_100).save(tmp_path / "music.wav")
    grid = tokenizer.encode(tmp_path / "music.wav")
    assert grid.codes.shape == (16, 8)
    assert grid.codes.max() > 0
    grid.save(tmp_path / "music.btk")
    again = bandtok.TokenGrid.load(tmp_path / "music.btk")
    assert np.array_equal(again.codes, grid.codes)
    assert again.fingerprint == tokenizer.fingerprint
    assert tokenizer.decode(again).waveform.shape == (1, 30_000)
    with pytest.raises(ModelMismatch, match=tokenizer.model_id):
        bandtok.Tokenizer.from_pretrained("debug").decode(again)


@pytest.mark.parametrize("size", [4096, 200_001])
def test_chunked_equals_whole(tokenizer: bandtok.Tokenizer, size: int) -> None:
    music = np.random.default_rng(0).normal(0, 0.1, 14 * 44_100).astype(np.float32)
    whole = tokenizer.encode_waveform(music[None, None])[0]
    pieces = np.concatenate(list(tokenizer.codec.encode_blocks(cut(music, size))), axis=1)
    assert np.array_equal(pieces, whole)
    sound = tokenizer.decode_codes(whole[None])[0, 0]
    decoded = list(tokenizer.codec.decode_blocks(cut(whole, size // 4096)))
    assert np.array_equal(np.concatenate(decoded), sound)


def test_stereo_needs_as_many_layers_as_rows(tokenizer: bandtok.Tokenizer, tmp_path: Path) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, (2, 9_000)).astype(np.float32)
    grid = tokenizer.encode(bandtok.Audio(samples, 44_100), stereo=True)
    assert grid.pan_bands == 16
    assert tokenizer.decode(grid).waveform.shape == samples.shape
    values = {**DEBUG_RESIDUAL.to_dict(), "num_layers": 8}
    few = tokenizer_network(ResidualConfig.from_dict(values))
    save_network(few, tmp_path, RESIDUAL_SPEC.name)
    mono = bandtok.Tokenizer.from_pretrained(tmp_path, vocoder="debug")
    assert mono.encode(bandtok.Audio(samples, 44_100)).codes.shape == (8, 3)
    with pytest.raises(GridError, match="stereo needs 16 codes a frame"):
        mono.encode(bandtok.Audio(samples, 44_100), stereo=True)
