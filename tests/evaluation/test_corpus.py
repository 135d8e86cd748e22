"""A whole evaluation with a tiny random tokenizer: systems, sums, reports."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bandtok.api.tokenizer import Tokenizer
from bandtok.data.manifest import Track, save_manifest
from bandtok.errors import ConfigError, DataError, MissingDependency
from bandtok.evaluation.corpus import (
    ReconstructionReport,
    ReconstructionSettings,
    evaluate_reconstruction,
    select_tracks,
)
from bandtok.evaluation.excerpts import Excerpt, choose_excerpts
from bandtok.evaluation.reconstruction_tables import mean_tables
from bandtok.evaluation.report import (
    markdown_table,
    write_reconstruction_report,
)
from bandtok.evaluation.system_audio import SystemAudio, save_system_audio
from bandtok.evaluation.systems import (
    ALL_SYSTEMS,
    _vocoded,
    named_systems,
    prepare,
    reconstruct,
)
from bandtok.signal.audio import Audio, load_audio

RATE = 44_100
SETTINGS = ReconstructionSettings(
    excerpt_seconds=0.5,
    systems=tuple(system.name for system in ALL_SYSTEMS),
    num_iterations=2,
    embedders=(),
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
    for name in ("flicker", "grain", "onset_correlation", "onsets_per_second", "peak_dbfs"):
        assert report.means["bandtok"][name].count == 3
        assert name not in report.means["mel-only"] or name in ("flicker", "grain")
    assert report.originals["peak_dbfs"].count == report.originals["onsets_per_second"].count == 3
    assert "si_sdr" not in report.means["bandtok"]
    assert "pitch" not in report.means["bandtok"]  # half a second is too short
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
    found = _vocoded(clip.decoded_mel, tokenizer)
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
    sounds = [f"{a}-{b}.flac" for a in ("median", "worst") for b in ("original", "reconstruction")]
    assert sorted(file.name for file in files) == sorted(
        ["report.json", "report.md", "report.html", "usage.png", "median.png", "worst.png", *sounds]
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
    assert page.count("data:audio/flac;base64,") == 4
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

    def __init__(self, name: str = "", device: str = "cpu") -> None:
        self.name = name

    def embed(self, waveform: np.ndarray, sample_rate: int, /) -> np.ndarray:
        levels = np.abs(waveform[: len(waveform) // 30 * 30]).reshape(30, -1)
        return np.stack([levels.mean(axis=1), levels.max(axis=1)], axis=1)


def use_level_embedder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bandtok.evaluation.corpus.load_embedder", LevelEmbedder)
    monkeypatch.setattr("bandtok.evaluation.embedding_measures.load_embedder", LevelEmbedder)


def test_too_few_windows_leave_the_frechet_distance_out_and_say_so(
    corpus: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_level_embedder(monkeypatch)
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
    use_level_embedder(monkeypatch)
    systems = ("mel-only", "bandtok", "griffin-lim-only")
    settings = ReconstructionSettings(
        excerpt_seconds=0.5, systems=systems, num_iterations=2, frechet=True
    )
    found = evaluate_reconstruction(corpus, tokenizer, settings)
    assert set(found.frechet) == {"bandtok", "griffin-lim-only"}
    assert {value.count for value in found.frechet.values()} == {90}
    # Random networks are far off, Griffin-Lim of the original mel is near.
    assert found.frechet["bandtok"].distance > 2 * found.frechet["griffin-lim-only"].distance
    for name in ("embedding_distance", "embedding_distance_aisfx", "mmd", "mmd_aisfx"):
        assert found.means["bandtok"][name].mean > found.means["griffin-lim-only"][name].mean
    assert found.means["bandtok"]["embedding_distance"].count == 3
    assert found.means["bandtok"]["mmd"].count == 90
    write_reconstruction_report(found, tmp_path, tokenizer, corpus)
    text = (tmp_path / "report.md").read_text()
    assert "Frechet, musicnn" in text
    assert "n=90" in text
    assert json.loads((tmp_path / "report.json").read_text())["frechet"]["bandtok"]["dim"] == 2


def test_other_programs_are_measured_on_the_same_excerpts(
    corpus: Path, tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_level_embedder(monkeypatch)
    settings = ReconstructionSettings(excerpt_seconds=0.5, systems=("bandtok",), si_sdr=True)

    def keep(name: str, excerpt: Excerpt, audio: Audio) -> None:
        save_system_audio(tmp_path, name, excerpt, audio)

    first = evaluate_reconstruction(corpus, tokenizer, settings, keep_audio=keep)
    files = {
        folder.name: sorted(path.name for path in folder.iterdir()) for folder in tmp_path.iterdir()
    }
    assert set(files) == {"original", "bandtok"}
    assert files["original"] == files["bandtok"]
    assert len(files["original"]) == 3
    (tmp_path / "dull").mkdir()
    for name in files["original"]:
        samples = load_audio(tmp_path / "original" / name).waveform[0]
        halved = Audio(0.5 * np.convolve(samples, [0.5, 0.5], "same")[None], RATE)
        halved.save(tmp_path / "dull" / name)
    others = tuple(
        SystemAudio(name=name, folder=str(tmp_path / folder))
        for name, folder in (("perfect", "original"), ("again", "bandtok"), ("dull", "dull"))
    )
    found = evaluate_reconstruction(corpus, tokenizer, replace(settings, system_audio=others))
    assert set(found.means) == {"bandtok", "perfect", "again", "dull"}
    assert found.means["again"] == first.means["bandtok"]
    perfect = {name: value.mean for name, value in found.means["perfect"].items()}
    assert [perfect[n] for n in ("flicker", "grain", "onset_correlation")] == pytest.approx([1] * 3)
    zeros = ("mel", "stft", "embedding_distance", "mmd", "mmd_aisfx", "level_difference_db")
    assert [perfect[name] for name in zeros] == pytest.approx([0.0] * len(zeros), abs=1e-6)
    assert found.means["dull"]["level_difference_db"].mean == pytest.approx(-9.0, abs=0.3)
    files_written = write_reconstruction_report(found, tmp_path / "report", tokenizer, corpus)
    assert (tmp_path / "report" / "report.md") in files_written
    text = (tmp_path / "report" / "report.md").read_text()
    for column in (
        "flicker",
        "onsets per second",
        "embedding distance, aisfx",
        "MMD × 50, musicnn",
        "level difference, dB",
        "DC offset, max.",
        "SI-SDR, dB",
    ):
        assert f"| {column} " in text
    assert "| perfect | 0.000 [0.000, 0.000] |" in text
    assert text.count("| original | ") == 2  # onsets, levels
    (tmp_path / "dull" / files["original"][0]).unlink()
    fewer = evaluate_reconstruction(corpus, tokenizer, replace(settings, system_audio=others))
    assert len(fewer.rows) == 2
    assert any("dull: no file" in line for line in fewer.left_out)


def test_optional_packages_that_are_missing_leave_columns_out(
    corpus: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str, device: str = "cpu") -> None:
        raise MissingDependency(f"install {name}")

    monkeypatch.setattr("bandtok.evaluation.corpus.load_embedder", absent)
    monkeypatch.setattr("bandtok.evaluation.embedding_measures.load_embedder", absent)
    monkeypatch.setattr("bandtok.evaluation.corpus.require", absent)
    settings = ReconstructionSettings(excerpt_seconds=0.3, systems=("bandtok",), max_clips=1)
    found = evaluate_reconstruction(corpus, tokenizer, settings)
    assert [line for line in found.left_out if "install" in line] == [
        "measures of musicnn embeddings: install musicnn",
        "measures of aisfx embeddings: install aisfx",
        "pitch and onsets: install librosa",
    ]
    assert {"mel", "stft", "flicker"} <= set(found.means["bandtok"])
    tables = dict(mean_tables(found))
    assert "Embeddings" not in tables
    assert tables["Time-frequency structure"][0] == ["system", "flicker", "grain"]
    with pytest.raises(MissingDependency, match="musicnn"):
        evaluate_reconstruction(corpus, tokenizer, replace(settings, frechet=True))
    only_mel = replace(settings, systems=("mel-only",))
    assert not any(
        "install" in line for line in evaluate_reconstruction(corpus, tokenizer, only_mel).left_out
    )


def test_silence_gives_no_ratio_and_no_correlation(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_level_embedder(monkeypatch)
    Audio(np.zeros((1, 2 * RATE), np.float32), RATE).save(tmp_path / "silence.wav")
    save_manifest([replace(track("silence.wav", "test"), seconds=2.0)], tmp_path / "manifest.jsonl")
    settings = ReconstructionSettings(excerpt_seconds=2.0, systems=("bandtok", "mel-only"))
    report = evaluate_reconstruction(tmp_path, tokenizer, settings)
    found = report.rows[0].measures["bandtok"]
    for name in ("flicker", "grain", "pitch", "onset_correlation", "embedding_distance"):
        assert getattr(found, name) is None
    assert found.level_difference_db is None
    assert report.rows[0].original.peak_dbfs is None
    write_reconstruction_report(report, tmp_path / "report", tokenizer, tmp_path)


def test_twenty_seven_tracks_give_81_or_405_windows() -> None:
    tracks = [replace(track(f"{n}.wav", "test"), seconds=75.0) for n in range(27)]
    tagger_windows = 3  # of 3 s in a clip of 10 s
    for per_track, windows in ((1, 81), (5, 405)):
        assert tagger_windows * len(choose_excerpts(tracks, 10.0, per_track)) == windows
