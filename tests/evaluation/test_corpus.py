"""A whole evaluation with a tiny random tokenizer: systems, sums, reports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bandtok.audio import Audio
from bandtok.data.manifest import Track, save_manifest
from bandtok.errors import ConfigError, DataError
from bandtok.evaluation.corpus import (
    ReconstructionReport,
    ReconstructionSettings,
    evaluate_reconstruction,
    select_tracks,
)
from bandtok.evaluation.report import (
    markdown_table,
    write_reconstruction_report,
)
from bandtok.evaluation.systems import (
    ALL_SYSTEMS,
    _vocoded,
    named_systems,
    prepare,
    reconstruct,
)
from bandtok.pipeline import Tokenizer

RATE = 44_100
SETTINGS = ReconstructionSettings(
    excerpt_seconds=0.5,
    systems=tuple(system.name for system in ALL_SYSTEMS),
    num_iterations=2,
)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_pretrained("debug", device="cpu")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    tracks = []
    for number, split in enumerate(["test", "test", "test", "train"]):
        name = f"track{number}.wav"
        noise = np.random.default_rng(number).standard_normal((1, RATE))
        Audio((0.05 * (number + 1) * noise).astype(np.float32), RATE).save(folder / name)
        tracks.append(track(name, split))
    (folder / "broken.wav").write_bytes(b"no audio")
    save_manifest([*tracks, track("broken.wav", "test")], folder / "manifest.jsonl")
    return folder


@pytest.fixture(scope="module")
def report(corpus: Path, tokenizer: Tokenizer) -> ReconstructionReport:
    return evaluate_reconstruction(corpus, tokenizer, SETTINGS)


def track(path: str, split: str) -> Track:
    return Track(
        path=path, seconds=1.0, sample_rate=RATE, channels=1, bandwidth_hz=22_050.0, split=split
    )


def test_every_system_is_measured_on_every_clip(report: ReconstructionReport) -> None:
    assert [row.excerpt.track.path for row in report.rows] == [f"track{n}.wav" for n in range(3)]
    assert [row.excerpt.start_seconds for row in report.rows] == [0.25] * 3
    assert len(report.left_out) == 1
    assert "broken.wav" in report.left_out[0]
    for row in report.rows:
        assert set(row.measures) == set(SETTINGS.systems)
        assert row.measures["mel-only"].stft is None
        assert all(measures.visqol is None for measures in row.measures.values())
    assert report.usage.overall.num_tokens == 3 * 16 * 6
    for system in SETTINGS.systems:
        values = [row.measures[system].mel for row in report.rows]
        estimate = report.means[system]["mel"]
        assert estimate.mean == pytest.approx(np.mean(values))
        assert min(values) - 1e-9 <= estimate.low <= estimate.mean
        assert estimate.mean <= estimate.high <= max(values) + 1e-9
    rising = [row.level_dbfs for row in report.rows]
    assert rising == sorted(rising)


def test_griffin_lim_on_the_true_mel_beats_a_random_vocoder(report: ReconstructionReport) -> None:
    means = {system: report.means[system]["mel"].mean for system in SETTINGS.systems}
    assert means["griffin-lim-only"] < means["vocoder-only"]
    assert means["griffin-lim-only"] < means["griffin-lim"]


def test_threads_change_nothing(corpus: Path, tokenizer: Tokenizer) -> None:
    settings = ReconstructionSettings(excerpt_seconds=0.3, systems=("mel-only",))
    seen: list[tuple[int, int]] = []
    one = evaluate_reconstruction(
        corpus, tokenizer, settings, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(n, 4) for n in (1, 2, 3, 4)]
    three = evaluate_reconstruction(corpus, tokenizer, settings, workers=3)
    assert one == three


def test_the_bandtok_system_is_what_users_get(corpus: Path, tokenizer: Tokenizer) -> None:
    noise = np.random.default_rng(5).standard_normal((1, 30_000)).astype(np.float32) * 0.1
    audio = Audio(noise, RATE)
    (whole,) = named_systems(["bandtok"])
    found = reconstruct(whole, prepare(audio, tokenizer), tokenizer)
    expected = tokenizer.decode(tokenizer.encode(audio))
    assert np.array_equal(found.waveform, expected.waveform)


def test_vocoder_only_differs_from_the_whole_chain_by_its_mel_alone(tokenizer: Tokenizer) -> None:
    noise = np.random.default_rng(6).standard_normal((1, 10 * 4096)).astype(np.float32) * 0.1
    clip = prepare(Audio(noise, RATE), tokenizer)
    (whole,) = named_systems(["bandtok"])
    expected = reconstruct(whole, clip, tokenizer).waveform[0]
    found = _vocoded(clip.decoded_mel, tokenizer)[0, 0].numpy()
    edge = tokenizer.codec.vocoder.reach * tokenizer.config.mel.hop_length
    assert np.allclose(found[edge:-edge], expected[edge:-edge], atol=1e-4)


def test_usage_of_whole_tracks_and_of_clips(corpus: Path, tokenizer: Tokenizer) -> None:
    settings = ReconstructionSettings(
        excerpt_seconds=0.5, systems=("mel-only",), usage="full", max_clips=1
    )
    report = evaluate_reconstruction(corpus, tokenizer, settings)
    assert len(report.rows) == 1
    assert report.usage.overall.num_tokens == 3 * 16 * 11


def test_visqol_rates_as_many_clips_as_asked(corpus: Path, tokenizer: Tokenizer) -> None:
    settings = ReconstructionSettings(
        excerpt_seconds=1.0, systems=("griffin-lim-only",), visqol_clips=1, num_iterations=4
    )
    report = evaluate_reconstruction(corpus, tokenizer, settings)
    assert report.means["griffin-lim-only"]["visqol"].count == 1
    assert 1.0 <= report.means["griffin-lim-only"]["visqol"].mean <= 5.0


@pytest.mark.slow
def test_reports_are_written_and_agree(
    report: ReconstructionReport, corpus: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    files = write_reconstruction_report(report, tmp_path / "new" / "report", tokenizer, corpus)
    assert sorted(file.name for file in files) == sorted(
        ["report.json", "report.md", "report.html", "usage.png", "median.png", "worst.png"]
    )
    folder = tmp_path / "new" / "report"
    assert sorted(folder.iterdir()) == sorted(files)
    document = json.loads((folder / "report.json").read_text())
    assert document["means"]["bandtok"]["mel"]["mean"] == report.means["bandtok"]["mel"].mean
    text = (folder / "report.md").read_text()
    assert f"{report.means['bandtok']['mel'].mean:.3f} [" in text
    assert "Left out: broken.wav" in text
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert "<script" not in page


def test_html_in_names_is_shown_not_obeyed(
    corpus: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    settings = ReconstructionSettings(excerpt_seconds=0.3, systems=("mel-only",))
    odd = tmp_path / "in"
    odd.mkdir()
    (odd / "<b>&|.wav").write_bytes((corpus / "track0.wav").read_bytes())
    save_manifest([track("<b>&|.wav", "test")], odd / "manifest.jsonl")
    report = evaluate_reconstruction(odd, tokenizer, settings)
    write_reconstruction_report(report, tmp_path / "out", tokenizer, odd)
    assert "&lt;b&gt;&amp;|.wav" in (tmp_path / "out" / "report.html").read_text()
    assert "<b>&\\|.wav" in (tmp_path / "out" / "report.md").read_text()


def test_an_empty_split_says_which_there_are(corpus: Path) -> None:
    with pytest.raises(DataError, match="test, train"):
        select_tracks(corpus, "unseen")
    assert len(select_tracks(corpus, None)) == 5


def test_nothing_usable_is_an_error(tokenizer: Tokenizer, tmp_path: Path) -> None:
    save_manifest([track("gone.wav", "test")], tmp_path / "manifest.jsonl")
    with pytest.raises(DataError, match=r"gone\.wav"):
        evaluate_reconstruction(tmp_path, tokenizer)


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="griffin-lim"):
        ReconstructionSettings(systems=("bandtock",))
    with pytest.raises(ConfigError):
        ReconstructionSettings(systems=())
    with pytest.raises(ConfigError):
        ReconstructionSettings(max_clips=0)


def test_markdown_table() -> None:
    assert markdown_table([["a", "b"], ["1", "x|y"]]) == "| a | b |\n| --- | --- |\n| 1 | x\\|y |\n"


class LevelEmbedder:
    """Hears nothing but level, in 30 windows."""

    embedding_dim = 2

    def embed(self, waveform: np.ndarray, sample_rate: int, /) -> np.ndarray:
        levels = np.abs(waveform[: len(waveform) // 30 * 30]).reshape(30, -1)
        return np.stack([levels.mean(axis=1), levels.max(axis=1)], axis=1)


def test_too_few_windows_leave_the_frechet_distance_out_and_say_so(
    corpus: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "bandtok.evaluation.corpus.load_embedder", lambda name, device: LevelEmbedder()
    )
    settings = ReconstructionSettings(
        excerpt_seconds=0.1, max_clips=1, systems=("bandtok",), frechet=True
    )
    found = evaluate_reconstruction(corpus, tokenizer, settings)
    assert not found.frechet
    assert len(found.rows) == 1
    assert any("Frechet" in line and "--per-track" in line for line in found.left_out)


@pytest.mark.slow
def test_frechet_compares_sets_of_waveforms(
    corpus: Path,
    tokenizer: Tokenizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    report: ReconstructionReport,
) -> None:
    assert not report.frechet
    monkeypatch.setattr(
        "bandtok.evaluation.corpus.load_embedder", lambda name, device: LevelEmbedder()
    )
    systems = ("mel-only", "bandtok", "griffin-lim-only")
    settings = ReconstructionSettings(
        excerpt_seconds=0.5, systems=systems, num_iterations=2, frechet=True
    )
    found = evaluate_reconstruction(corpus, tokenizer, settings)
    assert set(found.frechet) == {"bandtok", "griffin-lim-only"}
    assert {value.count for value in found.frechet.values()} == {90}
    # Random networks are far off, Griffin-Lim of the original mel is near.
    assert found.frechet["bandtok"].distance > 2 * found.frechet["griffin-lim-only"].distance
    write_reconstruction_report(found, tmp_path, tokenizer, corpus)
    text = (tmp_path / "report.md").read_text()
    assert "Frechet, musicnn" in text
    assert "n=90" in text
    assert json.loads((tmp_path / "report.json").read_text())["frechet"]["bandtok"]["dim"] == 2
