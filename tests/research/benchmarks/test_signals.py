"""The benchmark of all sorts of signals runs on what it makes up, and explains what it finds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bandtok.errors import DataError
from bandtok.signal.audio import load_audio
from bandtok.signal.mel import MelConfig
from research.benchmarks import signal_sources, signals
from research.benchmarks.signal_causes import break_down, why
from research.benchmarks.signal_clips import synthetic_clips

CONFIG = MelConfig()


def test_synthetic_clips_are_alike_on_every_run_and_within_full_scale() -> None:
    music = load_audio(signals.MUSIC)
    first, second = (synthetic_clips(1.0, 44_100, music) for _ in range(2))
    assert len({clip.name for clip in first}) == len(first) == 16
    for clip, again in zip(first, second, strict=True):
        np.testing.assert_array_equal(clip.audio.waveform, again.audio.waveform)
        assert clip.audio.waveform.shape == (1, 44_100)
        assert np.abs(clip.audio.waveform).max() <= 1
    by_name = {clip.name: clip.audio.waveform[0] for clip in first}
    assert set(by_name["square wave of 100 Hz, full scale"]) == {-1.0, 1.0}
    assert np.abs(by_name["music, peak at -60 dBFS"]).max() == pytest.approx(1e-3, rel=0.01)
    assert np.argmax(np.abs(np.fft.rfft(by_name["tone of 440 Hz"]))) == 440


@pytest.mark.slow
def test_tables_page_and_pictures_of_the_debug_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_package(name: str, folder: Path) -> Path:
        raise DataError(f"cannot fetch {name}")

    monkeypatch.setattr(signal_sources, "download_package", no_package)
    monkeypatch.setattr(signals, "WORST", 2)
    made = synthetic_clips(1.0, 44_100, load_audio(signals.MUSIC))
    monkeypatch.setattr(signals, "synthetic_clips", lambda *given: made[:5])
    target = tmp_path / "page.md"
    options = ["--model", "debug", "--duration", "1", "--json"]
    signals.main(["--work", str(tmp_path), "--write", str(target), *options])
    found = json.loads(capsys.readouterr().out)["clips"]
    distances = [clip["whole"]["mel_below"] for clip in found]
    assert len(found) == 5
    assert distances == sorted(distances, reverse=True)
    written = target.read_text(encoding="utf-8")
    assert all(clip["name"] in written for clip in found)
    assert written.count("cannot fetch") == 3
    silence = next(clip for clip in found if clip["kind"] == "silence")
    assert silence["level_error_db"] is None
    assert f"peak of {silence['output_peak_db']:.1f} dBFS" in written
    pictures = sorted((tmp_path / "page").iterdir())
    assert [path.name for path in pictures] == ["01.png", "02.png"]
    with Image.open(pictures[0]) as picture:
        assert picture.mode == "P"


def test_error_is_found_where_it_was_put() -> None:
    before = np.full((CONFIG.n_mels, 20), CONFIG.silence, np.float32)
    before[:10] = 0.0
    after = before.copy()
    after[60:70] += 3.0
    found = break_down(before, after, CONFIG, 15_000.0)
    shares = {part.name: part.error for part in found.loudness}
    assert shares == {"empty": pytest.approx(1.0), "faint": 0.0, "sounding": 0.0}
    for parts in (found.loudness, found.frequency):
        assert sum(part.cells for part in parts) == pytest.approx(1.0)
        assert sum(part.error for part in parts) == pytest.approx(1.0)
    assert found.worst.before == pytest.approx(CONFIG.silence)
    said = why(found, -7.0, {"frame": 5.0, "bin": None})
    assert "100% of the error lies where the original is empty" in said
    assert "too loud" in said
    assert "all in all 7 dB too quiet" in said
    assert "changes 5.0 times as much from frame to frame" in said
    assert "to bin" not in said


def test_recordings_too_short_for_a_clip_are_refused() -> None:
    with pytest.raises(DataError, match=r"expected 20\.0 s of sound"):
        signal_sources._joined([signals.MUSIC], 20.0, 44_100)
