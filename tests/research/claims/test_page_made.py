"""Reconstructions beside originals, generated clips by prompt; unusable files are reported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bandtok.api.tokenizer import Tokenizer
from bandtok.errors import DataError
from bandtok.pages.sources import generated_groups, load_grid, reconstruction_groups
from bandtok.provenance import record
from bandtok.signal.audio import Audio
from bandtok.tokens.grid import TokenGrid

RATE = 44_100


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_pretrained("debug", device="cpu")


def sound(path: Path, seconds: float = 1.0, channels: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    length = round(seconds * RATE)
    ramp = np.linspace(0, 0.5, length, dtype=np.float32)
    ramp[::2] *= -1
    Audio(np.repeat(ramp[None], channels, axis=0), RATE).save(path)
    return path


def grid(frames: int = 20) -> TokenGrid:
    return TokenGrid(codes=np.arange(16 * frames).reshape(16, frames), codebook_size=4096)


def test_original_and_reconstructions_are_of_one_length(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    sound(tmp_path / "in" / "a.wav", 3.0, channels=2)
    made = {"one": tokenizer, "two": tokenizer}
    (group,) = reconstruction_groups(tmp_path / "in", made, files=6, seconds=1.0)
    assert group.title == "a.wav"
    assert [clip.label for clip in group.clips] == ["original", "one", "two"]
    assert {clip.audio.waveform.shape for clip in group.clips if clip.audio} == {(1, 11 * 4096)}
    original, one, _ = group.clips
    assert original.audio
    assert np.abs(original.audio.waveform[0]).mean() == pytest.approx(0.25, abs=0.01)  # the middle
    assert original.note == "from 1.0 s, mixed to mono"
    assert one.grid
    assert one.grid.num_frames == 11
    assert "kbit/s, mel distance" in one.note


def test_files_are_taken_evenly_and_broken_ones_told(tmp_path: Path, tokenizer: Tokenizer) -> None:
    for number in range(6):
        sound(tmp_path / f"{number}.wav", 0.5)
    (tmp_path / "1.wav").write_bytes(b"no sound")
    groups = reconstruction_groups(tmp_path, {"debug": tokenizer}, files=2, seconds=6.0)
    assert [group.title for group in groups] == ["1.wav", "4.wav"]
    (broken,) = groups[0].clips
    assert broken.audio is None
    assert "'1.wav'" in broken.missing
    short = groups[1].clips[0].audio
    assert short
    assert short.seconds == pytest.approx(0.5)
    with pytest.raises(DataError, match="no audio in"):
        reconstruction_groups(tmp_path / "none", {"debug": tokenizer}, files=2, seconds=6.0)


def test_a_file_too_short_to_hear_is_told(tmp_path: Path, tokenizer: Tokenizer) -> None:
    path = sound(tmp_path / "a.wav", 0.05)
    (group,) = reconstruction_groups(path, {"debug": tokenizer}, files=1, seconds=1.0)
    assert "less than a tenth of a second" in group.clips[0].missing


def test_clips_of_one_prompt_stand_together(tmp_path: Path) -> None:
    for system in ("band", "residual"):
        for name in ("001-calm-1", "001-calm-2", "002-fast-1"):
            sound(tmp_path / system / f"{name}.wav")
    (tmp_path / "residual" / "002-fast-1.wav").unlink()
    grid().save(tmp_path / "band" / "001-calm-1.btk")
    folders = {name: tmp_path / name for name in ("band", "residual")}
    groups = generated_groups(folders, ["calm", "fast"], clips=9, seconds=0.5)
    assert [group.title for group in groups] == ["“calm”", "“calm”, clip 2", "“fast”"]
    assert [[clip.label for clip in group.clips] for group in groups] == [
        ["band", "residual"],
        ["band", "residual"],
        ["band"],
    ]
    first, other = groups[0].clips
    assert first.audio
    assert first.grid
    assert (first.audio.seconds, first.grid.num_frames) == (0.5, 6)
    np.testing.assert_array_equal(first.grid.codes, grid().codes[:, :6])
    assert first.note == "the first 0.5 s of 1 s"
    assert other.grid is None


def test_without_prompts_clips_go_by_their_names(tmp_path: Path) -> None:
    for number in range(5):
        sound(tmp_path / "clips" / f"clip{number}.wav", 0.2)
    folders = {"made": tmp_path / "clips"}
    groups = generated_groups(folders, None, clips=2, seconds=1.0)
    assert [group.title for group in groups] == ["clip1", "clip3"]
    with pytest.raises(DataError, match="5 clips for 2 prompts"):
        generated_groups(folders, ["a", "b"], clips=2, seconds=1.0)
    with pytest.raises(DataError, match="no audio in"):
        generated_groups({"none": tmp_path / "none"}, None, clips=2, seconds=1.0)


def test_damaged_clips_and_tokens_are_told(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")
    (tmp_path / "a.btk").write_bytes(b"no tokens")
    (tmp_path / "b.wav").write_bytes(b"no sound")
    first, second = generated_groups({"x": tmp_path}, None, clips=9, seconds=1.0)
    assert first.clips[0].audio is not None
    assert first.clips[0].missing.startswith("Tokens cannot be shown: ")
    assert second.clips[0].audio is None
    assert second.clips[0].missing.startswith("Not playable: ")


@pytest.mark.parametrize(
    ("frames", "seconds", "kept"), [(20, 9.0, 20), (20, 1.0, 11), (9, 0.01, 1)]
)
def test_tokens_are_cut_to_the_sound(
    tmp_path: Path, frames: int, seconds: float, kept: int
) -> None:
    grid(frames).save(tmp_path / "a.btk")
    assert load_grid(tmp_path / "a.btk", seconds).num_frames == kept


def test_seed_and_settings_of_generated_clips_are_shown(tmp_path: Path) -> None:
    Audio(np.zeros((1, 44_100), np.float32), 44_100).save(tmp_path / "a.wav")
    made = record("generate", model="m", prompt="", seed=5, settings={"bpm": 120.0, "loop": False})
    codes = np.zeros((16, 11), np.int32)
    TokenGrid(codes=codes, codebook_size=4, extra={"provenance": made}).save(tmp_path / "a.btk")
    (group,) = generated_groups({"generated": tmp_path}, None, clips=1, seconds=1)
    assert group.clips[0].note == "seed 5, bpm 120.0"
