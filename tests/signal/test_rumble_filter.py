"""The filter on decoded audio: no DC, no rumble, and music as it was."""

from __future__ import annotations

import numpy as np
import pytest

import bandtok
from bandtok.codec import Codec
from bandtok.signal.rumble_filter import RumbleFilter, low_pass_taps

RATE = 44_100


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(samples).astype(np.float32)


def response_db(hertz: float, rate: int = RATE) -> float:
    taps = low_pass_taps(rate)
    offsets = np.arange(len(taps)) - len(taps) // 2
    passed = 1 - (taps * np.cos(2 * np.pi * hertz / rate * offsets)).sum()
    return float(20 * np.log10(abs(passed) + 1e-9))


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000])
def test_the_response(rate: int) -> None:
    assert response_db(0, rate) < -150
    assert max(response_db(f, rate) for f in np.arange(1, 15, 0.5)) < -40
    assert response_db(20, rate) < -20
    assert max(abs(response_db(f, rate)) for f in np.arange(30, 500, 1.0)) < 1
    assert max(abs(response_db(f, rate)) for f in np.arange(40, 500, 1.0)) < 0.1


def test_a_signal_is_filtered_as_the_response_says() -> None:
    rumble = RumbleFilter(RATE)
    time = np.arange(2 * RATE) / RATE
    middle = slice(RATE // 2, RATE + RATE // 2)

    def level(hertz: float) -> float:
        wave = np.sin(2 * np.pi * hertz * time).astype(np.float32)
        return float(rumble(wave)[middle].std() / wave[middle].std())

    for hertz in (10, 20, 30, 100, 5_000):
        assert level(hertz) == pytest.approx(10 ** (response_db(hertz) / 20), abs=2e-3)
    reach = rumble.context_samples
    offset = rumble(np.full(2 * RATE, 0.1, np.float32))[reach:-reach]
    assert np.abs(offset).max() < 1e-7


def test_a_sample_depends_on_its_stated_neighborhood_only() -> None:
    rumble = RumbleFilter(RATE)
    wave = noise(40_000)
    other = wave.copy()
    other[20_000] += 1
    reach = rumble.context_samples
    changed = np.flatnonzero(np.abs(rumble(wave) - rumble(other)) > 1e-6)
    assert changed.min() >= 20_000 - reach
    assert changed.max() <= 20_000 + reach
    assert changed.max() - changed.min() > reach  # it does depend on it


def test_rounding_is_local_too() -> None:
    rumble = RumbleFilter(RATE)
    wave = noise(200_000)
    other = np.concatenate((wave[:100_000], noise(31_000, seed=1) * 0.3))
    assert np.array_equal(rumble(wave)[:60_000], rumble(other)[:60_000])


def test_decoded_audio_has_no_offset() -> None:
    """A vocoder that adds an offset and rumble of 8 Hz: neither is left, at any length."""
    tokenizer = bandtok.Tokenizer.from_pretrained("debug")
    network = tokenizer.codec.vocoder

    class Rumbling:
        reach = network.reach

        def decode_mel(self, mel: np.ndarray) -> np.ndarray:
            waveform = network.decode_mel(mel)
            time = np.arange(len(waveform)) / RATE
            return waveform + 0.05 + 0.1 * np.sin(2 * np.pi * 8 * time)

    rumbling = Codec(tokenizer.codec.network, Rumbling())
    codes = np.random.default_rng(0).integers(0, 64, (16, 140))
    plain = tokenizer.codec.decode_codes(codes[None])[0, 0]
    got = rumbling.decode_codes(codes[None])[0, 0]
    assert abs(float(got.mean())) < 10 ** (-70 / 20)
    spectrum = np.abs(np.fft.rfft(got - plain)) * 2 / len(got)
    # Between windows of 128 frames the phase of the 8 Hz jumps, which is no rumble of 8 Hz.
    assert float(spectrum[: int(16 * len(got) / RATE)].max()) < 0.1 * 10 ** (-30 / 20)


@pytest.mark.parametrize("frames", [1, 2, 20])
def test_short_clips_are_decoded_without_offset(frames: int) -> None:
    tokenizer = bandtok.Tokenizer.from_pretrained("debug")
    codes = np.random.default_rng(0).integers(0, 64, (1, 16, frames))
    waveform = tokenizer.codec.decode_codes(codes)
    assert waveform.shape == (1, 1, frames * 4096)
    assert np.isfinite(waveform).all()
