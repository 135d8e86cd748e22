from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from bandtok.data.bandwidth import measure_bandwidth
from bandtok.errors import AudioError

RATE = 44_100


def noise_below(hertz: float, floor: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    spectrum = np.fft.rfft(rng.normal(size=4 * RATE))
    frequencies = np.fft.rfftfreq(4 * RATE, 1 / RATE)
    spectrum[frequencies > hertz] *= floor
    samples = np.fft.irfft(spectrum)
    return 0.5 * samples / np.abs(samples).max()


@pytest.mark.parametrize("floor", [0.0, 1e-4])
@pytest.mark.parametrize("hertz", [8_000.0, 15_000.0, 20_000.0])
def test_low_pass_is_found(tmp_path: Path, hertz: float, floor: float) -> None:
    soundfile.write(tmp_path / "a.wav", noise_below(hertz, floor), RATE, subtype="FLOAT")
    assert measure_bandwidth(tmp_path / "a.wav") == pytest.approx(hertz, abs=250)


def test_full_band_reaches_the_nyquist_frequency(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise_below(RATE, 1.0), RATE)
    assert measure_bandwidth(tmp_path / "a.wav") == RATE / 2


def test_silence_and_tiny_files(tmp_path: Path) -> None:
    for length in (1, 100, 5_000):
        soundfile.write(tmp_path / "a.wav", np.zeros(length), RATE)
        assert measure_bandwidth(tmp_path / "a.wav") == 0.0


def test_no_audio_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    with pytest.raises(AudioError, match=r"a\.wav"):
        measure_bandwidth(tmp_path / "a.wav")
