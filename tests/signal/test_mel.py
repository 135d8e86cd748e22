"""Our mel against librosa's, and its edge cases."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch

from bandtok.errors import AudioError, ConfigError
from bandtok.signal.mel import MelConfig, mel_bin_centers_hz
from bandtok.signal.torch_mel import TorchLogMel


def reference_mel(samples: np.ndarray) -> np.ndarray:
    config = MelConfig()
    padded = np.pad(samples, config.padding, mode="reflect")
    mel = librosa.feature.melspectrogram(
        y=padded, sr=44_100, n_fft=2048, hop_length=512, center=False, power=1.0, n_mels=128
    )
    return np.log(np.maximum(mel, 1e-5))


def test_equals_librosa_on_noise_and_tones() -> None:
    rng = np.random.default_rng(0)
    time = np.arange(30_000) / 44_100
    for samples in (rng.normal(0, 0.3, 30_000), 0.5 * np.sin(2 * np.pi * 440 * time)):
        ours = TorchLogMel()(torch.from_numpy(samples).float()[None, None])[0].numpy()
        theirs = reference_mel(samples)
        assert ours.shape == theirs.shape == (128, 30_000 // 512)
        # In bins far below the tone the two differ in how rounding noise falls.
        assert np.abs(np.exp(ours) - np.exp(theirs)).max() < 2e-4


def test_silence_is_the_floor() -> None:
    mel = TorchLogMel()(torch.zeros(1, 1, 4096))
    assert mel.shape == (1, 128, 8)
    assert torch.allclose(mel, torch.tensor(MelConfig().silence))


def test_full_scale_square_is_finite() -> None:
    samples = torch.sign(torch.sin(torch.arange(8192) * 0.05))
    assert torch.isfinite(TorchLogMel()(samples[None, None])).all()


def test_frame_is_centered_on_its_hop() -> None:
    samples = torch.zeros(1, 1, 8192)
    samples[..., 5 * 512 + 256] = 1.0
    energy = TorchLogMel()(samples).exp().sum(1)[0]
    assert int(energy.argmax()) == 5


@pytest.mark.parametrize("shape", [(1, 1, 768), (1, 2, 4096), (1, 4096)])
def test_wrong_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(AudioError, match="expected"):
        TorchLogMel()(torch.zeros(shape))


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="hop_length"):
        MelConfig(hop_length=4096)
    with pytest.raises(ConfigError, match="range"):
        MelConfig(f_max=30_000.0)


def test_bin_centers_rise_from_low_to_the_top() -> None:
    centers = mel_bin_centers_hz(MelConfig())
    assert len(centers) == 128
    assert (np.diff(centers) > 0).all()
    assert 0 < centers[0] < 100
    assert 21_000 < centers[-1] < 22_050
