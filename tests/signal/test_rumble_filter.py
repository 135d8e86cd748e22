"""The filter on decoded audio: no DC, no rumble, and music as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import bandtok
from bandtok.codec import Codec
from bandtok.signal.rumble_filter import RumbleFilter, low_pass_taps

RATE = 44_100


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
    time = torch.arange(2 * RATE, dtype=torch.float64) / RATE
    middle = slice(RATE // 2, RATE + RATE // 2)

    def level(hertz: float) -> float:
        wave = torch.sin(2 * torch.pi * hertz * time).float()
        return float((rumble(wave)[middle].square().mean() / wave[middle].square().mean()).sqrt())

    for hertz in (10, 20, 30, 100, 5_000):
        assert level(hertz) == pytest.approx(10 ** (response_db(hertz) / 20), abs=2e-3)
    reach = rumble.context_samples
    offset = rumble(torch.full((2 * RATE,), 0.1))[reach:-reach]
    assert offset.abs().max() < 1e-7


def test_a_sample_depends_on_its_stated_neighborhood_only() -> None:
    rumble = RumbleFilter(RATE)
    wave = torch.randn(40_000, generator=torch.Generator().manual_seed(0))
    other = wave.clone()
    other[20_000] += 1
    reach = rumble.context_samples
    changed = torch.nonzero((rumble(wave) - rumble(other)).abs() > 1e-6)[:, 0]
    assert changed.min() >= 20_000 - reach
    assert changed.max() <= 20_000 + reach
    assert changed.max() - changed.min() > reach  # it does depend on it


def test_rounding_is_local_too() -> None:
    rumble = RumbleFilter(RATE)
    wave = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    other = torch.cat((wave[:100_000], torch.randn(31_000) * 0.3))
    assert torch.equal(rumble(wave)[:60_000], rumble(other)[:60_000])


def test_decoded_audio_has_no_offset() -> None:
    """A vocoder that adds an offset and rumble of 8 Hz: neither is left, at any length."""
    tokenizer = bandtok.Tokenizer.from_pretrained("debug")
    network = tokenizer.codec.vocoder

    class Rumbling(torch.nn.Module):
        reach = network.reach

        def forward(self, mel: torch.Tensor) -> torch.Tensor:
            waveform: torch.Tensor = network(mel)
            time = torch.arange(waveform.shape[-1]) / RATE
            return waveform + 0.05 + 0.1 * torch.sin(2 * torch.pi * 8 * time)

    rumbling = Codec(tokenizer.codec.network, Rumbling())
    codes = torch.randint(0, 64, (16, 140), generator=torch.Generator().manual_seed(0))
    plain = tokenizer.codec.decode_codes(codes[None])[0, 0]
    got = rumbling.decode_codes(codes[None])[0, 0]
    assert abs(float(got.mean())) < 10 ** (-70 / 20)
    spectrum = torch.fft.rfft(got - plain).abs() * 2 / len(got)
    # Between windows of 128 frames the phase of the 8 Hz jumps, which is no rumble of 8 Hz.
    assert float(spectrum[: int(16 * len(got) / RATE)].max()) < 0.1 * 10 ** (-30 / 20)


@pytest.mark.parametrize("frames", [1, 2, 20])
def test_short_clips_are_decoded_without_offset(frames: int) -> None:
    tokenizer = bandtok.Tokenizer.from_pretrained("debug")
    codes = torch.randint(0, 64, (1, 16, frames), generator=torch.Generator().manual_seed(0))
    waveform = tokenizer.codec.decode_codes(codes)
    assert waveform.shape == (1, 1, frames * 4096)
    assert torch.isfinite(waveform).all()
