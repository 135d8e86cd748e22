"""An encoding that was stopped goes on where it was, and only where that is right."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

import bandtok
from bandtok.api import tokenizer as tokenizer_module
from bandtok.codec import WINDOW_FRAMES


@pytest.fixture(scope="module")
def tokenizer() -> bandtok.Tokenizer:
    return bandtok.Tokenizer.from_pretrained("debug", device="cpu")


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """65 s of stereo noise: a little more than five windows."""
    noise = np.random.default_rng(0).normal(0, 0.1, (65 * 44_100, 2))
    soundfile.write(tmp_path / "long.wav", noise, 44_100)
    return tmp_path / "long.wav"


def stop_after(windows: int) -> tokenizer_module.Progress:
    def progress(done: int, _total: int) -> None:
        if done > windows * WINDOW_FRAMES:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("stereo", [False, True])
def test_a_stopped_encoding_goes_on(
    tokenizer: bandtok.Tokenizer, music: Path, stereo: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer_module, "JOURNAL_FRAMES", 2 * WINDOW_FRAMES)
    whole = tokenizer.encode(music, stereo=stereo)
    target = music.with_suffix(".btk")
    journal = bandtok.EncodingJournal.beside(target, music, tokenizer.fingerprint)
    assert journal.known_codes() is None
    with pytest.raises(KeyboardInterrupt):
        tokenizer.encode(music, stop_after(3), stereo, journal)
    known = journal.known_codes()
    assert known is not None
    assert known.shape == (16, 2 * WINDOW_FRAMES)
    assert np.array_equal(known, whole.codes[:16, : 2 * WINDOW_FRAMES])
    worked = []
    encode_mel = tokenizer.codec.network.encode_mel
    monkeypatch.setattr(
        tokenizer.codec.network, "encode_mel", lambda mel: worked.append(1) or encode_mel(mel)
    )
    again = tokenizer.encode(music, stereo=stereo, journal=journal)
    assert np.array_equal(again.codes, whole.codes)
    assert again.num_samples == whole.num_samples
    assert len(worked) < 6
    journal.discard()
    assert list(music.parent.iterdir()) == [music]


def test_a_journal_of_something_else_is_not_used(tokenizer: bandtok.Tokenizer, music: Path) -> None:
    target = music.with_suffix(".btk")
    grid = bandtok.TokenGrid(
        codes=np.zeros((16, WINDOW_FRAMES), np.int32),
        codebook_size=tokenizer.codebook_size,
        fingerprint=tokenizer.fingerprint,
    )
    journal = bandtok.EncodingJournal.beside(target, music, tokenizer.fingerprint)
    journal.keep(grid)
    assert journal.known_codes() is not None
    other = bandtok.EncodingJournal.beside(target, music, "f" * 32)
    assert other.known_codes() is None
    os.utime(music, (1, 1))
    changed = bandtok.EncodingJournal.beside(target, music, tokenizer.fingerprint)
    assert changed.known_codes() is None
    journal.path.write_bytes(journal.path.read_bytes()[:-9])
    assert journal.known_codes() is None
