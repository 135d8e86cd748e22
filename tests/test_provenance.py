"""Synthetic music is marked in token files and in all four audio formats."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

import bandtok
from bandtok import provenance
from bandtok.signal.audio import open_audio
from bandtok.signal.audio_writer import AudioWriter

FORMATS = (".wav", ".flac", ".ogg", ".mp3")


def make(prompt: str = "calm piano, größer", **more: object) -> dict[str, object]:
    settings = {"temperature": 1.0, "bpm": None}
    return provenance.record(
        "generate", model="m", prompt=prompt, seed=7, settings=settings, **more
    )  # type: ignore[arg-type]


def test_a_prompt_is_a_hash_unless_asked_for() -> None:
    assert "prompt" not in make()
    assert "calm" not in str(make())
    assert make()["prompt_sha256"] != make("another")["prompt_sha256"]
    shown = provenance.with_prompt(make(), "calm piano, größer")
    assert shown["prompt"] == "calm piano, größer"
    assert "prompt_sha256" not in shown
    assert "prompt_sha256" not in make("")


def test_records_have_a_bound() -> None:
    grown = make()
    for _ in range(200):
        grown = make(source=grown)
        assert len(provenance.to_comment(grown)) <= provenance.MAX_BYTES
    assert provenance.with_prompt(make(), "ü" * 4000) == make()


@pytest.mark.parametrize("suffix", FORMATS)
def test_files_carry_the_record(tmp_path: Path, suffix: str) -> None:
    marked, path = make(source=make()), tmp_path / f"a{suffix}"
    bandtok.Audio(np.zeros(44_100, np.float32), 44_100, marked).save(path)
    assert bandtok.Audio.load(path).provenance == marked
    assert bandtok.Audio.load(path, sample_rate=22_050, mono=True).mono().provenance == marked
    assert b"digitalsourcetype/trainedAlgorithmicMedia" in path.read_bytes()
    bandtok.Audio(np.zeros(44_100, np.float32), 44_100).save(path)
    assert bandtok.Audio.load(path).provenance is None


@pytest.mark.parametrize("comment", ["made by hand", "{", "[1]", '{"a": 1}', "{" * 10_000])
def test_other_comments_are_no_record(tmp_path: Path, comment: str) -> None:
    with soundfile.SoundFile(tmp_path / "a.wav", "w", 44_100, 1) as file:
        file.comment = comment
        file.write(np.zeros(100))
    with open_audio(tmp_path / "a.wav") as reader:
        assert reader.provenance is None


def test_a_wav_file_is_marked_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(44_100)
        file.writeframes(bytes(2 * 1001))
    provenance.mark_wav(path, make())
    audio = bandtok.Audio.load(path)
    assert audio.waveform.shape == (1, 1001)
    assert audio.provenance == make()


def test_the_mark_survives_tokens_and_decoding(tmp_path: Path) -> None:
    tokenizer = bandtok.Tokenizer.from_pretrained("debug")
    bandtok.Audio(np.zeros(44_100, np.float32), 44_100, make()).save(tmp_path / "a.flac")
    tokenizer.encode(tmp_path / "a.flac").save(tmp_path / "a.btk")
    audio = tokenizer.decode(tmp_path / "a.btk")
    assert audio.provenance == make()
    grid = bandtok.TokenGrid.load(tmp_path / "a.btk")
    assert tokenizer.decode_range(grid, 100, 200).provenance == make()
    with AudioWriter(tmp_path / "b.ogg", 44_100, 1, provenance=audio.provenance) as writer:
        writer.write(audio.waveform)
    assert tokenizer.encode(tmp_path / "b.ogg").extra[provenance.KEY] == make()


def test_generated_and_edited_music_is_marked(tmp_path: Path) -> None:
    model = bandtok.MusicModel.from_pretrained("debug")
    clip = model.generate("calm piano", 0.5, seed=3, temperature=0.5)
    made = clip.audio.provenance
    assert made == provenance.of_extra(clip.grid.extra)
    assert made is not None
    assert (made["operation"], made["seed"]) == ("generate", 3)
    assert made["settings"]["temperature"] == 0.5
    edited = model.edit(clip, "0.1-0.3,2000-", "drums", seed=4)
    assert edited.audio.provenance is not None
    assert edited.audio.provenance["operation"] == "edit"
    assert edited.audio.provenance["source"] == made
    assert edited.audio.provenance["settings"]["regions"] == [
        {"seconds": [0.1, 0.3], "hertz": [2000.0, None]}
    ]
    edited.with_prompt("drums").grid.save(tmp_path / "a.btk")
    stored = provenance.of_extra(bandtok.TokenGrid.load(tmp_path / "a.btk").extra)
    assert stored is not None
    assert stored["prompt"] == "drums"
    longer = model.generate("more", 0.2, continue_from=edited).audio.provenance
    assert longer is not None
    assert longer["operation"] == "continue"
    assert longer["source"] == edited.audio.provenance
