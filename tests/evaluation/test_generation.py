"""Judging a folder of clips, with small judges: sets, baselines, prompts, copies, reports."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bandtok.api.tokenizer import Tokenizer
from bandtok.data.manifest import Track, save_manifest
from bandtok.data.tokenize import tokenize_corpus
from bandtok.errors import ConfigError, DataError
from bandtok.evaluation import clip_files, generation
from bandtok.evaluation.baselines import noise_like
from bandtok.evaluation.clip_sets import AnalyzedClip, ClipAnalyzer, compare_sets
from bandtok.evaluation.comparison_sets import AnalyzedSet, coded_sets
from bandtok.evaluation.generation import (
    GenerationReport,
    GenerationSettings,
    evaluate_generation,
)
from bandtok.evaluation.long_clips import clip_drift
from bandtok.evaluation.prompts import ControlPrompt
from bandtok.evaluation.report import write_generation_report
from bandtok.evaluation.signal_statistics import measure_signal
from bandtok.signal.audio import Audio
from bandtok.tagger import MTT_LABELS

RATE = 44_100
LOUD = MTT_LABELS.index("loud")


class LevelAnalyzer(ClipAnalyzer):
    """Hears level and roughness in ten windows; what is loud is tagged loud."""

    def __init__(self) -> None:
        self.labels = MTT_LABELS

    def analyze(self, name: str, audio: Audio) -> AnalyzedClip:
        samples = audio.waveform[0]
        windows = samples[: len(samples) // 10 * 10].reshape(10, -1).astype(np.float64)
        embeddings = np.stack(
            [windows.std(axis=1), np.abs(np.diff(windows, axis=1)).mean(axis=1)], axis=1
        )
        tags = np.full(len(MTT_LABELS), 0.1)
        tags[LOUD] = min(1.0, float(samples.std()))
        drift = clip_drift(audio, lambda part: np.abs(part.waveform[:, :100]))
        signal = measure_signal(audio)
        return AnalyzedClip(name=name, tags=tags, embeddings=embeddings, sound=signal, drift=drift)


def sound(seed: int, level: float, seconds: float = 1.0) -> Audio:
    """A rhythm of decaying tones."""
    generator = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    hertz = generator.uniform(100, 1_000)
    tone = np.sin(2 * np.pi * hertz * time) * np.exp(-6 * (time % 0.25))
    return Audio((level * tone + 1e-3 * generator.standard_normal(len(time)))[None], RATE)


@pytest.fixture(autouse=True)
def judges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "_analyzer", lambda embedder: LevelAnalyzer())


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_pretrained("debug", device="cpu")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    tracks = []
    for number in range(12):
        name = f"track{number:02d}.wav"
        sound(number, 0.1 + 0.02 * number, 1.5).save(folder / name)
        split = "test" if number < 8 else "train"
        tracks.append(
            Track(
                path=name, seconds=1.5, sample_rate=RATE, channels=1, bandwidth_hz=2e4, split=split
            )
        )
    save_manifest(tracks, folder / "manifest.jsonl")
    return folder


def write_clips(folder: Path, level: Callable[[int], float], count: int = 8) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        sound(50 + number, level(number)).save(folder / f"{number + 1:03d}-clip.wav")
    return folder


@pytest.fixture(scope="module")
def report(
    corpus: Path, tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory
) -> GenerationReport:
    clips = write_clips(tmp_path_factory.mktemp("clips"), lambda number: 0.1 + 0.02 * number)
    (clips / "broken.wav").write_bytes(b"no audio")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generation, "_analyzer", lambda embedder: LevelAnalyzer())
        return evaluate_generation(
            clips, corpus, GenerationSettings(baselines=True), tokenizer=tokenizer
        )


def test_clips_and_baselines_stand_beside_the_reference(report: GenerationReport) -> None:
    names = [item.name for item in report.sets]
    assert names[:3] == ["clips", "noise", "tokens"]
    assert names[3:] == [
        "reversed",
        "shuffled frames",
        "shuffled tokens",
        "real, train",
        "tokens, train",
    ]
    assert [item.name for item in report.coded] == ["clips", "tokens, train"]
    assert report.coded[0].measures.frechet != report.sets[0].measures.frechet
    found = {item.name: item.measures for item in report.sets}
    assert report.seconds == pytest.approx(1.0)
    assert found["clips"].clips == 8
    assert report.reference.frechet is not None
    assert report.reference.frechet.distance < 1e-8
    for name in ("clips", "noise"):
        assert found[name].frechet is not None
    assert found["clips"].frechet.count == 80  # type: ignore[union-attr]
    assert found["noise"].frechet.distance > 3 * found["clips"].frechet.distance  # type: ignore[union-attr]
    assert found["noise"].coverage is not None
    assert found["noise"].coverage.coverage < found["clips"].coverage.coverage  # type: ignore[union-attr]
    assert "broken.wav" in report.left_out[0]
    assert report.control is None
    assert report.copies is None


def test_with_both_sides_coded_the_reference_is_its_tokens() -> None:
    analyzer = LevelAnalyzer()
    own, tokens, trained = (
        AnalyzedSet(
            name=name,
            description="",
            clips=[analyzer.analyze("", sound(first + n, level)) for n in range(6)],
        )
        for name, first, level in (("clips", 0, 0.1), ("tokens", 10, 0.3), ("tokens, train", 20, 1))
    )
    found = coded_sets(own, (trained, tokens))
    expected = [compare_sets(tokens.clips, one.clips) for one in (own, trained)]
    assert [item.measures for item in found] == expected
    assert expected[0] != expected[1]
    assert coded_sets(own, (trained,)) == []


def test_silent_clips_are_seen(corpus: Path, tmp_path: Path) -> None:
    clips = write_clips(tmp_path, lambda number: 0.1)
    for number in range(3):
        Audio(np.zeros((1, RATE), np.float32), RATE).save(clips / f"{number + 1:03d}-clip.wav")
    found = evaluate_generation(clips, corpus)
    assert (found.sets[0].measures.silent, found.sets[0].measures.frozen) == (3, 3)
    assert [clip.silent for clip in found.clips] == [True] * 3 + [False] * 5


def test_prompts_that_are_followed_are_told_from_those_that_are_not(
    corpus: Path, tmp_path: Path
) -> None:
    prompts = [
        ControlPrompt(text="loud", concepts=("loud",))
        if number % 2
        else ControlPrompt(text="calm", concepts=())
        for number in range(16)
    ]
    clips = write_clips(tmp_path / "a", lambda number: 0.9 if number % 2 else 0.1, 16)
    followed = evaluate_generation(clips, corpus, prompts=prompts).control
    assert followed is not None
    assert followed.tags["loud"].area == 1
    clips = write_clips(tmp_path / "b", lambda number: 0.1 if number % 2 else 0.9, 16)
    reversed_ = evaluate_generation(clips, corpus, prompts=prompts).control
    assert reversed_ is not None
    assert reversed_.tags["loud"].area == 0


class LengthOfText:
    """Scores a clip by the length of its prompt."""

    def __init__(self, name: str) -> None:
        assert name == "some/clap"

    def score(self, waveform: np.ndarray, sample_rate: int, text: str) -> float:
        return float(len(text))


def test_each_clip_is_scored_with_its_own_prompt(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clip_files, "ClapEmbedder", LengthOfText)
    prompts = [ControlPrompt(text="x" * n, concepts=("loud",) * (n > 6)) for n in range(1, 13)]
    clips = write_clips(tmp_path, lambda number: 0.1, 12)
    for number in (1, 12):
        (clips / f"{number:03d}-clip.wav").write_bytes(b"no audio")
    settings = GenerationSettings(clap="some/clap")
    few = evaluate_generation(clips, corpus, settings, prompts=prompts)
    assert few.control is None  # five of each are too few for an area
    assert any("no tag is requested" in line for line in few.left_out)
    write_clips(clips, lambda number: 0.1, 12)
    found = evaluate_generation(clips, corpus, settings, prompts=prompts)
    assert found.control is not None
    assert found.clap is not None
    assert (found.clap.mean, found.clap.count) == (6.5, 12)
    assert [clip.prompt for clip in found.clips] == [prompt.text for prompt in prompts]


def test_a_copy_is_found_with_its_source(
    corpus: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    shards = tokenize_corpus(corpus, tokenizer, tmp_path / "shards")
    source = shards.split("train")[1]
    clips = write_clips(tmp_path / "clips", lambda number: 0.2)
    for number, path in enumerate(sorted(clips.glob("*.wav"))):
        grid = tokenizer.encode(path)
        if number == 3:
            codes = grid.codes.copy()
            codes[:, 2:7] = shards.codes(source)[:, 5:10]
            grid = type(grid)(
                codes=codes, codebook_size=grid.codebook_size, fingerprint=grid.fingerprint
            )
        grid.save(path.with_suffix(".btk"))
    report = evaluate_generation(clips, corpus, train=tmp_path / "shards")
    assert report.copies is not None
    longest = max(report.copies.clips, key=lambda run: run.tokens)
    assert longest.clip == "004-clip.wav"
    assert longest.tokens >= 5 * 16
    assert longest.source == source.path
    assert longest.seconds == pytest.approx(longest.tokens / 16 * 4096 / 44_100)
    text = write_generation_report(report, tmp_path / "report")[1].read_text()
    assert source.path in text


def test_reports_are_written_and_agree(report: GenerationReport, tmp_path: Path) -> None:
    files = write_generation_report(report, tmp_path)
    assert {file.name for file in files} == {"report.json", "report.md", "report.html", "tags.png"}
    assert all(file.stat().st_size > 100 for file in files)
    document = json.loads((tmp_path / "report.json").read_text())
    assert document["sets"][0]["measures"]["frechet"]["count"] == 80
    text = (tmp_path / "report.md").read_text()
    assert f"{report.coded[1].measures.frechet.distance:.3f}" in text  # type: ignore[union-attr]
    assert f"{report.sets[1].measures.frechet.distance:.3f}" in text  # type: ignore[union-attr]


def test_ends_of_long_clips_are_compared_with_their_beginnings(tmp_path: Path) -> None:
    for folder, gain in (("steady", 1.0), ("growing", 4.0)):
        (tmp_path / folder).mkdir()
        part = sound(1, 0.1, 11.0).waveform
        audio = Audio(np.concatenate([part, gain * part], axis=1), RATE)
        audio.save(tmp_path / folder / "1.wav")
    found = evaluate_generation(tmp_path / "growing", tmp_path / "steady")
    made, real = found.sets[0].measures.drift, found.reference.drift
    assert made is not None
    assert real is not None
    assert made.level_db == pytest.approx(12.04, abs=0.1)
    assert real.level_db == pytest.approx(0, abs=0.1)
    files = write_generation_report(found, tmp_path / "report")
    page = next(file for file in files if file.suffix == ".md").read_text(encoding="utf-8")
    assert "| reference | 1 | 0.0 | 100 % |" in page
    assert "| clips | 1 | 12.0 | 0 % |" in page


def test_two_folders_without_a_manifest(tmp_path: Path) -> None:
    clips = write_clips(tmp_path / "a", lambda number: 0.1)
    reference = write_clips(tmp_path / "b", lambda number: 0.1)
    settings = GenerationSettings(baselines=True)
    report = evaluate_generation(clips, reference, settings)
    assert report.sets[0].measures.frechet is not None
    assert report.sets[0].measures.frechet.distance < 1e-8
    assert [item.name for item in report.sets] == ["clips", "noise", "real, halves"]
    assert report.coded == ()


def test_few_windows_have_no_distance(tmp_path: Path) -> None:
    clips = write_clips(tmp_path / "a", lambda number: 0.1, 2)
    measures = evaluate_generation(clips, clips).sets[0].measures
    assert (measures.frechet, measures.coverage) == (None, None)


def test_what_cannot_be_judged_is_refused(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no audio"):
        evaluate_generation(tmp_path, corpus)
    with pytest.raises(DataError, match="no such folder"):
        evaluate_generation(tmp_path / "absent", corpus)
    (tmp_path / "a.wav").write_bytes(b"no audio")
    with pytest.raises(DataError, match="can be read"):
        evaluate_generation(tmp_path, corpus)
    clips = write_clips(tmp_path / "b", lambda number: 0.1, 2)
    with pytest.raises(DataError, match="split"):
        evaluate_generation(clips, corpus, GenerationSettings(split="unseen"))
    with pytest.raises(ConfigError):
        GenerationSettings(seconds=0.1)
    with pytest.raises(DataError):
        compare_sets([], [])


def test_noise_is_as_loud_as_its_clip() -> None:
    audio = sound(0, 0.3)
    noise = noise_like(audio, np.random.default_rng(0))
    assert noise.waveform.shape == audio.waveform.shape
    assert noise.waveform.std() == pytest.approx(audio.waveform.std(), rel=0.02)
