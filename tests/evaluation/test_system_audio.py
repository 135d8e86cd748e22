"""Audio of systems on disk: names, formats, lengths, errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bandtok.data.manifest import Track
from bandtok.errors import AudioError, ConfigError, DataError
from bandtok.evaluation.excerpts import Excerpt
from bandtok.evaluation.system_audio import (
    SystemAudio,
    check_system_audio,
    excerpt_name,
    load_system_audio,
    parse_system_audio,
    save_system_audio,
)
from bandtok.signal.audio import Audio

RATE = 44_100


def excerpt(path: str = "rock/song 1.flac", start: float = 12.5) -> Excerpt:
    track = Track(
        path=path, seconds=60.0, sample_rate=RATE, channels=1, bandwidth_hz=22_050.0, split="test"
    )
    return Excerpt(track=track, start_seconds=start, seconds=1.0)


def tone(seconds: float = 1.0, rate: int = RATE, gain: float = 0.5) -> Audio:
    wave = gain * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)
    return Audio(wave[None].astype(np.float32), rate)


def test_names_are_fixed_and_distinct() -> None:
    assert excerpt_name(excerpt()) == "rock-song-1-88fff05c-012500ms"
    names = {
        excerpt_name(excerpt(path, start))
        for path in (
            "a/b.wav",
            "a-b.wav",
            "a/b.flac",
            "ä/b.wav",
            ".wav",
            "...",
            "x" * 300,
            "..\\c:|?.wav",
        )
        for start in (0.0, 0.001, 5_000.0)
    }
    assert len(names) == 8 * 3
    assert all(len(name) < 120 and name.isascii() and "/" not in name for name in names)
    assert not any(name.startswith((".", "-")) for name in names)


def test_what_is_saved_is_loaded_without_clipping(tmp_path: Path) -> None:
    loud = tone(gain=1.5)
    path = save_system_audio(tmp_path, "bandtok", excerpt(), loud)
    assert path == tmp_path / "bandtok" / "rock-song-1-88fff05c-012500ms.wav"
    system = SystemAudio(name="again", folder=str(tmp_path / "bandtok"))
    assert np.array_equal(load_system_audio(system, excerpt(), tone()).waveform, loud.waveform)


def test_rate_channels_and_padding_are_brought_together(tmp_path: Path) -> None:
    reference = tone()
    system = SystemAudio(name="peer", folder=str(tmp_path))
    longer = tone(1.2, 48_000)
    stereo = Audio(np.repeat(longer.waveform, 2, axis=0), 48_000)
    stereo.save(tmp_path / f"{excerpt_name(excerpt())}.flac")
    found = load_system_audio(system, excerpt(), reference)
    assert found.sample_rate == RATE
    assert found.waveform.shape == reference.waveform.shape
    assert np.allclose(found.waveform[0, 500:-500], reference.waveform[0, 500:-500], atol=1e-3)
    tone(0.95).save(tmp_path / f"{excerpt_name(excerpt(start=0.0))}.wav")
    found = load_system_audio(system, excerpt(start=0.0), reference)
    assert found.waveform.shape == reference.waveform.shape
    assert not found.waveform[0, -round(0.05 * RATE) :].any()


def test_missing_short_and_damaged_files_are_named(tmp_path: Path) -> None:
    system = SystemAudio(name="peer", folder=str(tmp_path))
    with pytest.raises(AudioError, match=r"peer: no file rock-song-1-88fff05c-012500ms\.wav"):
        load_system_audio(system, excerpt(), tone())
    path = tmp_path / f"{excerpt_name(excerpt())}.wav"
    tone(0.5).save(path)
    with pytest.raises(AudioError, match=r"has 0\.50 s; expected 1\.00 s"):
        load_system_audio(system, excerpt(), tone())
    path.write_bytes(b"no audio")
    with pytest.raises(AudioError, match="rock-song-1"):
        load_system_audio(system, excerpt(), tone())


def test_names_and_folders_are_checked(tmp_path: Path) -> None:
    system = parse_system_audio(f"dac-2.6={tmp_path}")
    assert system == SystemAudio(name="dac-2.6", folder=str(tmp_path))
    check_system_audio([system], ["bandtok"])
    with pytest.raises(ConfigError, match="taken"):
        check_system_audio([system], ["dac-2.6"])
    with pytest.raises(ConfigError, match="taken"):
        check_system_audio([system, system], [])
    with pytest.raises(DataError, match="not a folder"):
        check_system_audio([parse_system_audio("dac=absent")], [])
    for text in ("dac", "=x", "dac=", "../x=y", "a b=c", "|=x"):
        with pytest.raises(ConfigError, match="NAME=FOLDER"):
            parse_system_audio(text)
