"""Our mel filters against librosa's, bit by bit."""

from __future__ import annotations

import hashlib

import librosa
import numpy as np
import pytest

from bandtok.signal.mel import MelConfig, mel_filterbank
from bandtok.signal.mel_filters import hz_to_mel, mel_frequencies, mel_to_hz, triangular_mel_filters

SIZES = ((44_100, 2048, 128), (16_000, 512, 96), (22_050, 2048, 64), (48_000, 1024, 80))
BUNDLED_SHA256 = "ac731832a9c3585e15c48b96defd3923a4f98f90f61d298460d62923302c3f16"


@pytest.mark.parametrize("sizes", SIZES)
def test_slaney_filters_equal_librosas(sizes: tuple[int, int, int]) -> None:
    rate, n_fft, n_mels = sizes
    ours = triangular_mel_filters(rate, n_fft, n_mels)
    assert ours.dtype == np.float32
    assert np.array_equal(ours, librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=n_mels))


def test_edges_are_kept() -> None:
    ours = triangular_mel_filters(44_100, 2048, 100, f_min=30.0, f_max=16_000.0)
    theirs = librosa.filters.mel(sr=44_100, n_fft=2048, n_mels=100, fmin=30.0, fmax=16_000.0)
    assert np.array_equal(ours, theirs)


def test_htk_filters_equal_librosas() -> None:
    ours = triangular_mel_filters(44_100, 2048, 96, htk=True, norm="sum")
    theirs = librosa.filters.mel(sr=44_100, n_fft=2048, n_mels=96, htk=True, norm=1)
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("htk", [False, True])
def test_scales_equal_librosas(htk: bool) -> None:
    hz = np.linspace(0, 22_050, 1001)
    mel = hz_to_mel(hz, htk=htk)
    assert np.array_equal(mel, librosa.hz_to_mel(hz, htk=htk))
    assert np.array_equal(mel_to_hz(mel, htk=htk), librosa.mel_to_hz(mel, htk=htk))
    assert np.allclose(mel_to_hz(mel, htk=htk), hz)
    centers = mel_frequencies(130, 20.0, 22_050.0, htk=htk)
    assert np.array_equal(centers, librosa.mel_frequencies(130, fmin=20.0, fmax=22_050.0, htk=htk))


def test_the_filterbank_of_the_bundled_tokenizer_is_fixed() -> None:
    """Codes depend on every bit of it."""
    filters = mel_filterbank(MelConfig())
    assert filters.shape == (128, 1025)
    assert hashlib.sha256(filters.tobytes()).hexdigest() == BUNDLED_SHA256
