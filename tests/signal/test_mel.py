"""Our mel against librosa's, and its edge cases."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch

from bandtok.errors import AudioError, ConfigError
from bandtok.signal.mel import LogMel, MelConfig, mel_bin_centers_hz
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
        ours = LogMel()(samples.astype(np.float32))
        theirs = reference_mel(samples)
        assert ours.shape == theirs.shape == (128, 30_000 // 512)
        # In bins far below the tone the two differ in how rounding noise falls.
        assert np.abs(np.exp(ours) - np.exp(theirs)).max() < 2e-4


def test_silence_is_the_floor() -> None:
    mel = LogMel()(np.zeros(4096, np.float32))
    assert mel.shape == (128, 8)
    assert np.allclose(mel, MelConfig().silence)


def test_full_scale_square_is_finite() -> None:
    samples = np.sign(np.sin(np.arange(8192) * 0.05)).astype(np.float32)
    assert np.isfinite(LogMel()(samples)).all()


def test_frame_is_centered_on_its_hop() -> None:
    samples = np.zeros(8192, np.float32)
    samples[5 * 512 + 256] = 1.0
    assert np.exp(LogMel()(samples)).sum(axis=0).argmax() == 5


@pytest.mark.parametrize(
    "config",
    [MelConfig(), MelConfig(n_fft=1024, win_length=800, hop_length=200, n_mels=64, f_min=30.0)],
    ids=["default", "short window"],
)
def test_tensors_give_the_same_mel(config: MelConfig) -> None:
    samples = np.random.default_rng(0).normal(0, 0.3, 30_000).astype(np.float32)
    ours = TorchLogMel(config)(torch.from_numpy(samples)[None, None])[0].numpy()
    np.testing.assert_allclose(LogMel(config)(samples), ours, atol=2e-4)


@pytest.mark.parametrize(("n_fft", "hop"), [(2048, 512), (1024, 200)])
def test_overlap_add_inverts_the_spectrum(n_fft: int, hop: int) -> None:
    log_mel = LogMel(MelConfig(n_fft=n_fft, win_length=n_fft, hop_length=hop))
    samples = np.random.default_rng(0).normal(0, 0.3, 50 * hop).astype(np.float32)
    spectrum = log_mel.spectrum(np.pad(samples, log_mel.config.padding, mode="reflect"))
    assert spectrum.dtype == np.complex64
    back = log_mel.overlap_add([spectrum[:7], spectrum[7:]], len(spectrum))
    np.testing.assert_allclose(back[: 50 * hop], samples, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1, 768), (1, 2, 4096), (1, 4096), (768,)])
def test_wrong_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(AudioError, match="expected"):
        TorchLogMel()(torch.zeros(shape))
    with pytest.raises(AudioError, match="expected"):
        LogMel()(np.zeros(shape, np.float32))


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
