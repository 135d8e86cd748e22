"""Sounds of a page: their bytes say what was put in, and each has a player and its pictures."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from bandtok.errors import AudioError
from bandtok.pages.clips import (
    ClipGroup,
    Coding,
    PageClip,
    encode_audio,
    group_html,
    groups_html,
    load_beginning,
)
from bandtok.signal.audio import Audio
from bandtok.tokens.grid import TokenGrid

RATE = 44_100


def tone(seconds: float = 1.0, level: float = 0.5, rate: int = RATE, channels: int = 1) -> Audio:
    time = np.arange(round(seconds * rate)) / rate
    wave = (level * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    return Audio(np.repeat(wave[None], channels, axis=0), rate)


def grid(frames: int = 10) -> TokenGrid:
    codes = np.random.default_rng(0).integers(0, 4096, (16, frames))
    return TokenGrid(codes=codes, codebook_size=4096)


def decoded(content: bytes) -> tuple[np.ndarray, int]:
    return soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)


@pytest.mark.parametrize("channels", [1, 2])
def test_flac_keeps_the_sound_to_16_bits(channels: int) -> None:
    audio = tone(level=1.5, channels=channels)
    samples, rate = decoded(encode_audio(audio, Coding.FLAC))
    assert rate == RATE
    expected = np.clip(audio.waveform, -1, 1).T
    np.testing.assert_allclose(samples, expected, atol=1.1 / 32_768)


def test_opus_is_small_and_close() -> None:
    noise = np.random.default_rng(0).standard_normal((1, 2 * RATE)).astype(np.float32)
    audio = Audio(0.1 * noise, RATE)
    content = encode_audio(audio, Coding.OPUS)
    samples, rate = decoded(content)
    assert (rate, len(samples)) == (48_000, 96_000)
    assert len(content) < len(encode_audio(audio, Coding.FLAC)) / 4
    sound = decoded(encode_audio(tone(), Coding.OPUS))[0][:, 0]
    assert np.corrcoef(sound, tone().resampled(48_000).waveform[0])[0, 1] > 0.99


def test_rates_that_browsers_may_not_play_are_resampled() -> None:
    for rate in (4_000, 96_000):
        _, found = decoded(encode_audio(tone(rate=rate), Coding.FLAC))
        assert found == 48_000


def test_long_files_are_cut_and_say_so(tmp_path: Path) -> None:
    tone(5.0).save(tmp_path / "a.wav")
    audio, note = load_beginning(tmp_path / "a.wav", 2.0)
    assert (audio.waveform.shape, note) == ((1, 2 * RATE), "the first 2 s of 5 s")
    assert abs(audio.waveform[0, -1]) < 1e-6
    assert np.abs(audio.waveform[0, -RATE // 10 : -RATE // 20]).max() > 0.4
    whole, note = load_beginning(tmp_path / "a.wav", 5.0)
    assert (whole.waveform.shape, note) == ((1, 5 * RATE), "")
    Audio(np.zeros((1, 0), np.float32), RATE).save(tmp_path / "empty.wav")
    with pytest.raises(AudioError, match="holds no sound"):
        load_beginning(tmp_path / "empty.wav", 1.0)


def test_a_clip_has_a_player_a_spectrogram_and_its_tokens() -> None:
    clip = PageClip(label="band <1>", note="2 kbit/s", audio=tone(), grid=grid())
    text = group_html(ClipGroup(title="A & B", clips=[clip], note="Prompt"), Coding.FLAC)
    assert "<h3>A &amp; B</h3>" in text
    assert 'aria-label="band &lt;1&gt;, A &amp; B, 1.0 s"' in text
    assert re.findall(r'data-seconds="([\d.]+)"', text) == ["1.0000", "0.9288"]
    alts = re.findall(r'alt="([^"]*)"', text)
    assert alts[0].startswith("Mel spectrogram of band &lt;1&gt;, A &amp; B: 1.0 s, 0 to 22 kHz")
    assert "16 rows by 10 frames" in alts[1]
    assert "among 160" in alts[1]
    sound = base64.b64decode(re.findall(r"data:audio/flac;base64,([^\"]+)", text)[0])
    assert len(decoded(sound)[0]) == RATE


def test_spectrograms_of_a_group_share_their_colors() -> None:
    clips = [PageClip(label=str(level), audio=tone(level=level)) for level in (0.5, 0.01)]
    together = pictures(group_html(ClipGroup(title="t", clips=clips), Coding.FLAC))
    assert together[1].max() < together[0].max()
    (alone,) = pictures(group_html(ClipGroup(title="t", clips=clips[1:]), Coding.FLAC))
    assert alone.max() == together[0].max()


def pictures(text: str) -> list[np.ndarray]:
    found = re.findall(r"data:image/png;base64,([^\"]+)", text)
    images = [Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB") for data in found]
    return [np.asarray(image).astype(int).sum(axis=2) for image in images]


def test_what_is_missing_is_told() -> None:
    clip = PageClip(label="other", missing="Not playable: <gone>")
    text = group_html(ClipGroup(title="t", clips=[clip]), Coding.FLAC)
    assert "Not playable: &lt;gone&gt;" in text
    assert "<audio" not in text
    short = PageClip(label="short", audio=tone(0.01), picture=(b"<svg/>", "image/svg+xml"))
    text = group_html(ClipGroup(title="t", clips=[short]), Coding.FLAC)
    assert "data-seconds" not in text
    assert text.count("<audio") == text.count("<img") == 1


def test_groups_of_one_clip_stand_in_columns() -> None:
    one = ClipGroup(title="t", clips=[PageClip(label="a", missing="x")])
    two = ClipGroup(title="t", clips=[PageClip(label="a", missing="x")] * 2)
    assert len(groups_html([one, one], Coding.FLAC)) == 1
    assert len(groups_html([one, two], Coding.FLAC)) == 2
    assert groups_html([one], Coding.FLAC) == [group_html(one, Coding.FLAC)]
