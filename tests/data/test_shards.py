"""Token shards: complete, resumable, checked."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bandtok.data.manifest import Track, save_manifest
from bandtok.data.segments import Segment, save_attributes, segment_line
from bandtok.data.shards import TokenCorpus
from bandtok.data.tokenize import Variants, tokenize_corpus
from bandtok.data.track_audio import track_blocks
from bandtok.errors import DataError, DataWarning
from bandtok.tokens.grid import TokenGrid

RATE, SPACING = 8000, 400


class LoudnessTokenizer:
    """Each code is the loudness of its frame; counts how often it is asked."""

    def __init__(self, fingerprint: str = "abc") -> None:
        self.calls = 0
        self.fingerprint = fingerprint

    def encode_samples(self, blocks: Iterable[np.ndarray]) -> TokenGrid:
        self.calls += 1
        waveform = np.concatenate([np.zeros(0, np.float32), *blocks])
        frames = -(-len(waveform) // SPACING)
        padded = np.pad(waveform, (0, frames * SPACING - len(waveform)))
        loud = np.abs(padded.reshape(frames, SPACING)).max(axis=1)
        codes = np.stack([(loud * 99).astype(np.int32)] * 2)
        return TokenGrid(
            codes=codes,
            codebook_size=100,
            sample_rate=RATE,
            samples_per_frame=SPACING,
            num_samples=len(waveform),
            fingerprint=self.fingerprint,
        )


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "audio"
    folder.mkdir()
    tracks = []
    for name, split, seconds in (("a", "train", 1.03), ("b", "valid", 0.8), ("c", "test", 0.6)):
        ramp = np.linspace(0, 0.9, int(RATE * seconds))
        soundfile.write(folder / f"{name}.wav", ramp, RATE, subtype="PCM_16")
        tracks.append(
            Track(
                path=f"{name}.wav",
                seconds=seconds,
                sample_rate=RATE,
                channels=1,
                bandwidth_hz=4000.0,
                title=f"Title {name}",
                style=["calm"],
                split=split,
            )
        )
    save_manifest(tracks, folder / "manifest.jsonl")
    return folder


def test_shards_hold_the_codes_of_every_track_and_offset(corpus: Path, tmp_path: Path) -> None:
    shards = tokenize_corpus(
        corpus, LoudnessTokenizer(), tmp_path / "out", variants=Variants(count=4)
    )
    assert shards.tokenizer.frame_rate == 20.0
    assert shards.tokenizer.fingerprint == "abc"
    assert [shard.offset_samples for shard in shards.split("train")] == [0, 100, 200, 300]
    assert [shard.num_frames for shard in shards.split("train")] == [20, 20, 20, 19]
    assert [len(shards.split(name)) for name in ("valid", "test", "unseen")] == [1, 1, 0]
    codes = shards.codes(shards.split("train")[1])
    assert codes.dtype == np.uint16
    ramp = np.linspace(0, 0.9, int(RATE * 1.03))
    expected = [ramp[100 + 400 * n + 399] * 99 for n in range(20)]
    np.testing.assert_allclose(codes[0], expected, atol=1.1)
    assert shards.split("valid")[0].title == "Title b"


def test_a_second_run_does_only_what_is_missing(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = tokenize_corpus(corpus, LoudnessTokenizer(), out, variants=Variants(count=2))
    index = (out / "index.json").read_bytes()
    files = sorted((out / "codes").iterdir())
    assert len(files) == len(first.shards) == 4
    (out / first.shards[1].file).unlink()
    damaged = out / first.shards[2].file
    damaged.write_bytes(damaged.read_bytes()[:40])
    again = LoudnessTokenizer()
    tokenize_corpus(corpus, again, out, variants=Variants(count=2))
    assert again.calls == 1 + 2
    assert (out / "index.json").read_bytes() == index
    assert sorted((out / "codes").iterdir()) == files
    more = LoudnessTokenizer()
    assert len(tokenize_corpus(corpus, more, out, variants=Variants(count=4)).shards) == 6
    assert more.calls == 1 + 2


def test_another_tokenizer_makes_other_shards(corpus: Path, tmp_path: Path) -> None:
    tokenize_corpus(corpus, LoudnessTokenizer("abc"), tmp_path / "out")
    other = LoudnessTokenizer("def")
    shards = tokenize_corpus(corpus, other, tmp_path / "out")
    assert other.calls == 1 + 3
    assert shards.tokenizer.fingerprint == "def"


def test_an_interrupted_run_is_taken_up(corpus: Path, tmp_path: Path) -> None:
    class Interrupted(LoudnessTokenizer):
        def encode_samples(self, blocks: Iterable[np.ndarray]) -> TokenGrid:
            if self.calls == 2:
                raise KeyboardInterrupt
            return super().encode_samples(blocks)

    with pytest.raises(KeyboardInterrupt):
        tokenize_corpus(corpus, Interrupted(), tmp_path / "out")
    rest = LoudnessTokenizer()
    assert len(tokenize_corpus(corpus, rest, tmp_path / "out").shards) == 3
    assert rest.calls == 1 + 2
    assert not list((tmp_path / "out").rglob("*.part*"))


def test_unreadable_tracks_are_named_and_left_out(corpus: Path, tmp_path: Path) -> None:
    (corpus / "b.wav").write_bytes(b"no audio")
    (corpus / "c.wav").unlink()
    lines: list[str] = []
    shards = tokenize_corpus(corpus, LoudnessTokenizer(), tmp_path / "out", warn=lines.append)
    assert [shard.path for shard in shards.shards] == ["a.wav"]
    assert [line.split(":")[0] for line in lines] == ["left out b.wav", "left out c.wav"]
    (corpus / "a.wav").unlink()
    with pytest.raises(DataError, match="none of 3 tracks"):
        tokenize_corpus(corpus, LoudnessTokenizer(), tmp_path / "new")


def test_stems_are_summed(corpus: Path, tmp_path: Path) -> None:
    manifest = corpus / "manifest.jsonl"
    track = json.loads(manifest.read_text().splitlines()[1])
    manifest.write_text(json.dumps({**track, "stems": ["c.wav"]}) + "\n")
    shards = tokenize_corpus(corpus, LoudnessTokenizer(), tmp_path / "out")
    codes = shards.codes(shards.shards[0])
    ramps = np.linspace(0, 0.9, int(RATE * 0.8))
    ramps[: int(RATE * 0.6)] += np.linspace(0, 0.9, int(RATE * 0.6))
    assert codes[0, 5] == pytest.approx(ramps[2399] * 99, abs=1.1)


def test_damage_is_told(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no index\.json"):
        TokenCorpus(tmp_path)
    out = tmp_path / "out"
    shards = tokenize_corpus(corpus, LoudnessTokenizer(), out)
    np.save(out / shards.shards[0].file, np.zeros((2, 3), np.uint16))
    with pytest.raises(DataError, match="missing or damaged"):
        TokenCorpus(out).codes(shards.shards[0])
    index = json.loads((out / "index.json").read_text())
    (out / "index.json").write_text(json.dumps({**index, "format": 9}))
    with pytest.raises(DataError, match="format 9"):
        TokenCorpus(out)
    (out / "index.json").write_text("{")
    with pytest.raises(DataError, match="cannot read"):
        TokenCorpus(out)


def test_offsets_out_of_range_are_refused(corpus: Path, tmp_path: Path) -> None:
    for count in (0, SPACING + 1):
        with pytest.raises(DataError, match="expected 1 to 400"):
            tokenize_corpus(corpus, LoudnessTokenizer(), tmp_path, variants=Variants(count=count))


def test_variants_differ_in_offset_gain_and_pitch(corpus: Path, tmp_path: Path) -> None:
    variants = Variants(count=3, gains_db=(0.0, -6.0206), semitones=(0, 0, 12))
    shards = tokenize_corpus(corpus, LoudnessTokenizer(), tmp_path / "out", variants=variants)
    plain, softer, higher = shards.split("train")
    assert (softer.gain_db, higher.gain_db, higher.semitones) == (-6.0206, 0.0, 12)
    assert (plain.offset_samples, softer.offset_samples, higher.offset_samples) == (0, 133, 266)
    assert shards.split("valid")[0].gain_db == 0.0
    expected = [np.linspace(0, 0.9, 8240)[133 + 400 * n + 399] * 99 / 2 for n in range(20)]
    np.testing.assert_allclose(shards.codes(softer)[0], expected, atol=1.1)
    assert higher.num_frames == (8240 // 2 - 266) // SPACING
    assert higher.seconds_at(4) == pytest.approx(2 * (266 / RATE + 4 * SPACING / RATE))
    again = LoudnessTokenizer()
    tokenize_corpus(corpus, again, tmp_path / "out", variants=variants)
    assert again.calls == 1


def test_variants_out_of_range_are_refused() -> None:
    for wrong in ({"gains_db": ()}, {"gains_db": (90.0,)}, {"semitones": (13,)}):
        with pytest.raises(DataError, match="expected each within"):
            Variants(**wrong)


def test_several_corpora_and_what_is_known_of_them_share_an_index(
    corpus: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    soundfile.write(other / "a.wav", np.tile([0.5, -0.5], 4500), RATE)
    first = Segment(start_seconds=0.0, end_seconds=1.0, words={"style": {"rock": 0.5}}, bpm=99.0)
    second = Segment(start_seconds=0.0, end_seconds=1.0, key="C minor", key_weight=0.4)
    save_attributes(corpus, [("a.wav", [first])])
    out, tokenizer = tmp_path / "out", LoudnessTokenizer()
    tokenize_corpus([corpus, other], tokenizer, out, variants=Variants(count=2))
    assert tokenizer.calls == 1 + 6
    save_attributes(other, [("a.wav", [second])])
    described = LoudnessTokenizer()
    shards = tokenize_corpus([corpus, other], described, out, variants=Variants(count=2))
    assert described.calls == 1
    known = [shard.segments for shard in shards.shards]
    assert known == [(first,)] * 2 + [()] * 2 + [(second,)] * 2


@pytest.mark.slow
def test_worker_processes_write_the_same_shards(corpus: Path, tmp_path: Path) -> None:
    (corpus / "c.wav").unlink()
    alone, together = tmp_path / "alone", tmp_path / "together"
    lines: list[str] = []
    tokenize_corpus(corpus, LoudnessTokenizer(), alone, variants=Variants(count=2))
    tokenize_corpus(
        corpus,
        LoudnessTokenizer(),
        together,
        variants=Variants(count=2),
        jobs=2,
        load_tokenizer=LoudnessTokenizer,
        warn=lines.append,
    )
    assert (alone / "index.json").read_bytes() == (together / "index.json").read_bytes()
    assert [line.split(":")[0] for line in lines] == ["left out c.wav"]
    with pytest.raises(DataError, match="way to load the tokenizer"):
        tokenize_corpus(corpus, LoudnessTokenizer(), together, jobs=2)


def test_a_track_that_was_replaced_is_encoded_again(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    before = tokenize_corpus(corpus, LoudnessTokenizer(), out)
    old = before.codes(before.shards[0])
    audio, _ = soundfile.read(corpus / "a.wav")
    size = (corpus / "a.wav").stat().st_size
    soundfile.write(corpus / "a.wav", audio[::-1], RATE, subtype="PCM_16")
    os.utime(corpus / "a.wav", (1, 1))
    assert (corpus / "a.wav").stat().st_size == size
    after = tokenize_corpus(corpus, LoudnessTokenizer(), out)
    assert not np.array_equal(after.codes(after.shards[0]), old)


def test_stems_are_summed_as_they_come(tmp_path: Path) -> None:
    for name, level, seconds in (("a", 0.25, 1.0), ("b", 0.5, 12.0), ("c", 0.5, 0.0)):
        wave = np.resize([level, -level], int(RATE * seconds))
        soundfile.write(tmp_path / f"{name}.wav", wave, RATE, "FLOAT")
    track = Track(
        path="a.wav",
        seconds=1.0,
        sample_rate=RATE,
        channels=1,
        bandwidth_hz=4000.0,
        stems=["b.wav", "c.wav"],
    )
    sound = np.concatenate(list(track_blocks(track, tmp_path, RATE)))
    assert len(sound) == 12 * RATE
    np.testing.assert_allclose(np.abs(sound[:RATE]), 0.75)
    np.testing.assert_allclose(np.abs(sound[RATE:]), 0.5)


def test_what_was_described_of_another_file_is_not_taken_over(corpus: Path, tmp_path: Path) -> None:
    segment = Segment(start_seconds=0.0, end_seconds=1.0, bpm=90.0)
    (corpus / "attributes.jsonl").write_text(
        segment_line("a.wav", [segment], "a.wav:1:1|tagged") + segment_line("b.wav", [segment])
    )
    with pytest.warns(DataWarning, match=r"a\.wav has changed since it was described"):
        shards = tokenize_corpus(corpus, LoudnessTokenizer(), tmp_path / "out").shards
    assert [len(shard.segments) for shard in shards] == [0, 1, 0]
