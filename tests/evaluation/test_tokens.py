"""Statistics of the tokens of a small corpus, from audio to report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bandtok.api.tokenizer import Tokenizer
from bandtok.data.manifest import Track, save_manifest
from bandtok.errors import ConfigError, DataError, ModelMismatch
from bandtok.evaluation.mutual_information import token_dependence
from bandtok.evaluation.perplexity import score_tokens
from bandtok.evaluation.report import write_token_report
from bandtok.evaluation.token_tables import dependence_table, language_model_table
from bandtok.evaluation.tokens import TokenReport, TokenSettings, evaluate_tokens
from bandtok.evaluation.usage import UsageCounter
from bandtok.lm.config import DEBUG_MUSIC_LM
from bandtok.lm.model import MusicLM
from bandtok.model_specs import LM_SPEC, RESIDUAL_SPEC
from bandtok.signal.audio import Audio
from bandtok.torch_checkpoint import debug_network, save_network

RATE = 44_100
FRAMES = 11  # of one second
BANDS = 16


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_pretrained("debug", device="cpu")


@pytest.fixture(scope="module")
def network() -> MusicLM:
    found = debug_network(LM_SPEC)
    assert isinstance(found, MusicLM)
    return found.eval()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    tracks = []
    for number, split in enumerate(["test", "test", "train"]):
        noise = np.random.default_rng(number).standard_normal((1, RATE))
        name = f"track{number}.wav"
        Audio((0.1 * noise).astype(np.float32), RATE).save(folder / name)
        tracks.append(track(name, split))
    (folder / "broken.wav").write_bytes(b"no audio")
    save_manifest([*tracks, track("broken.wav", "test")], folder / "manifest.jsonl")
    return folder


@pytest.fixture(scope="module")
def report(corpus: Path, tokenizer: Tokenizer, network: MusicLM) -> TokenReport:
    settings = TokenSettings(max_frames=16, seed=3)
    return evaluate_tokens(
        corpus, tokenizer, settings, language_model=network, language_model_name="debug"
    )


def track(path: str, split: str) -> Track:
    return Track(
        path=path, seconds=1.0, sample_rate=RATE, channels=1, bandwidth_hz=22_050.0, split=split
    )


def test_everything_is_measured_on_the_codes_of_whole_tracks(
    report: TokenReport, corpus: Path, tokenizer: Tokenizer, network: MusicLM
) -> None:
    grids = [tokenizer.encode(corpus / f"track{number}.wav").codes for number in range(2)]
    counter = UsageCounter(tokenizer.codebook_size, BANDS)
    for grid in grids:
        counter.add(grid)
    assert report.usage == counter.usage()
    assert report.dependence == token_dependence(grids, 16, seed=3)
    expected = score_tokens(network, grids, frame_rate=tokenizer.frame_rate, name="debug")
    assert report.language_model == expected
    assert expected.num_windows == 2
    assert report.num_tracks == 2
    assert report.seconds == pytest.approx(2 * FRAMES * 4096 / RATE)
    assert len(report.left_out) == 1
    assert "broken.wav" in report.left_out[0]


@pytest.mark.slow
def test_the_report_is_written_whole(report: TokenReport, tmp_path: Path) -> None:
    files = write_token_report(report, tmp_path / "new")
    assert sorted((tmp_path / "new").iterdir()) == sorted(files)
    names = {file.name for file in files}
    assert names >= {"report.json", "usage.png", "profiles.png"}
    document = json.loads((tmp_path / "new" / "report.json").read_text())
    assert report.dependence is not None
    assert report.language_model is not None
    assert document["dependence"]["before"]["raw"] == report.dependence.before.raw
    assert document["language_model"]["bits_per_second"] == report.language_model.bits_per_second
    text = (tmp_path / "new" / "report.md").read_text()
    for heading in ("Mutual information", "Language model"):
        assert f"## {heading}\n" in text
    assert f"{report.language_model.nats.mean:.3f} nats per token" in text
    assert "Left out: broken.wav" in text
    assert (tmp_path / "new" / "report.html").read_text().count("data:image/png;base64,") == 2


def test_tables_have_a_line_for_each_row(report: TokenReport) -> None:
    assert report.dependence is not None
    assert len(dependence_table(report.dependence)) == 2 + BANDS
    scores = language_model_table(report)
    assert len(scores) == 2 + BANDS
    rates = [float(row[-1].replace(",", "")) for row in scores[1:]]
    assert rates[0] == pytest.approx(sum(rates[1:]), abs=BANDS)
    for table in (dependence_table(report.dependence), scores):
        assert {len(row) for row in table} == {len(table[0])}


@pytest.mark.slow
def test_layers_are_not_called_bands(corpus: Path, tmp_path: Path) -> None:
    save_network(debug_network(RESIDUAL_SPEC), tmp_path / "model", RESIDUAL_SPEC.name)
    tokenizer = Tokenizer.from_pretrained(tmp_path / "model", vocoder="debug", device="cpu")
    report = evaluate_tokens(corpus, tokenizer, TokenSettings())
    assert not report.model.rows_are_bands
    write_token_report(report, tmp_path / "out")
    text = (tmp_path / "out" / "report.md").read_text()
    assert "16 layers, codebook of 64" in text
    assert "| layer | tokens |" in text
    assert "Codebook usage by layer" in text


def test_a_plain_report_needs_no_model(corpus: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    report = evaluate_tokens(corpus, tokenizer, TokenSettings(split=None))
    assert report.language_model is None
    assert report.dependence is not None
    assert report.dependence.num_frames == 3 * (FRAMES - 1)
    write_token_report(report, tmp_path)
    assert "Language model" not in (tmp_path / "report.md").read_text()


def test_too_few_frames_are_an_error_not_a_smaller_count(
    corpus: Path, tokenizer: Tokenizer
) -> None:
    with pytest.raises(DataError, match="got 20 frames"):
        evaluate_tokens(corpus, tokenizer, TokenSettings(max_frames=21))


def test_one_frame_has_usage_but_no_mutual_information(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    Audio(np.zeros((1, 3000), np.float32), RATE).save(tmp_path / "in" / "short.wav")
    report = evaluate_tokens(tmp_path / "in", tokenizer, TokenSettings(split=None))
    assert report.dependence is None
    assert report.usage.overall.num_tokens == BANDS
    write_token_report(report, tmp_path / "out")


def test_a_language_model_of_other_tokens_is_refused_before_any_work(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    network = MusicLM(replace(DEBUG_MUSIC_LM, tokenizer_fingerprint="another"))
    with pytest.raises(ModelMismatch):
        evaluate_tokens(tmp_path / "nothing", tokenizer, language_model=network)


def test_nothing_usable_is_an_error(tokenizer: Tokenizer, tmp_path: Path) -> None:
    save_manifest([track("gone.wav", "test")], tmp_path / "manifest.jsonl")
    with pytest.raises(DataError, match=r"gone\.wav"):
        evaluate_tokens(tmp_path, tokenizer)


@pytest.mark.parametrize("wrong", [{"max_frames": 1}, {"lm_windows": 0}])
def test_wrong_settings_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="at least"):
        TokenSettings(**wrong)
