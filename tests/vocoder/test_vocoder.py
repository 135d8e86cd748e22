"""The vocoder: length, framing, locality."""

from __future__ import annotations

import pytest
import torch

from bandtok.model_specs import VOCODER_SPEC
from bandtok.signal.mel import MelConfig
from bandtok.signal.torch_mel import TorchLogMel
from bandtok.torch_checkpoint import debug_network
from bandtok.vocoder.config import VocoderConfig
from bandtok.vocoder.model import OverlapAdd


def test_one_hop_of_samples_for_each_mel_frame() -> None:
    vocoder = debug_network(VOCODER_SPEC)
    assert vocoder(torch.randn(2, 128, 11)).shape == (2, 1, 11 * 512)


def test_samples_see_no_farther_than_the_reach() -> None:
    vocoder = debug_network(VOCODER_SPEC).eval()
    reach = VOCODER_SPEC.debug.reach  # type: ignore[attr-defined]
    mel = torch.randn(1, 128, 4 * reach + 1)
    changed = mel.clone()
    middle = 2 * reach
    changed[..., : middle - reach] += 5.0
    changed[..., middle + reach + 1 :] -= 5.0
    inside = slice(middle * 512, (middle + 1) * 512)
    before, after = vocoder(mel)[0, 0], vocoder(changed)[0, 0]
    assert torch.allclose(before[inside], after[inside], atol=1e-5)
    assert not torch.allclose(before[:512], after[:512], atol=1e-5)


def test_overlap_add_inverts_the_mels_framing() -> None:
    config = MelConfig()
    samples = torch.randn(1, 12 * 512)
    padded = torch.nn.functional.pad(samples[None], (config.padding, config.padding), "reflect")[0]
    window = torch.hann_window(2048)
    spectrum = torch.stft(padded, 2048, 512, window=window, center=False, return_complex=True)
    rebuilt = OverlapAdd(config)(spectrum.transpose(1, 2))
    assert rebuilt.shape == (1, 1, 12 * 512)
    inner = slice(1024, -1024)
    assert torch.allclose(rebuilt[0, 0, inner], samples[0, inner], atol=1e-4)
    assert TorchLogMel()(rebuilt).shape == (1, 128, 12)


@pytest.mark.parametrize("frames", [1, 2, 7, 8, 9, 20])
def test_overlap_add_by_hand(frames: int) -> None:
    config = MelConfig()
    spectrum = torch.randn(1, frames, 1025, dtype=torch.complex64)
    window = torch.hann_window(2048)
    total = torch.zeros((frames + 3) * 512)
    envelope = torch.zeros_like(total)
    for frame, piece in enumerate(torch.fft.irfft(spectrum[0], 2048)):
        total[frame * 512 : frame * 512 + 2048] += piece * window
        envelope[frame * 512 : frame * 512 + 2048] += window.square()
    expected = (total / envelope.clamp(min=1e-4))[768 : 768 + frames * 512]
    assert torch.allclose(OverlapAdd(config)(spectrum)[0, 0], expected, atol=1e-4)


def test_config_round_trip() -> None:
    config = VocoderConfig(num_blocks=3)
    assert VocoderConfig.from_dict(config.to_dict()) == config
