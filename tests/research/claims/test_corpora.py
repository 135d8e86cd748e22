"""Smaller views of a corpus: parts of one another, nothing copied, the same held-out music."""

from __future__ import annotations

from pathlib import Path

import pytest

from bandtok.data.manifest import load_manifest
from bandtok.errors import ConfigError, DataError
from research.claims.corpora import Corpus, synthetic_corpus
from research.claims.run import open_store
from research.claims.run_store import RunStore
from research.claims.scales import TINY


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic_corpus(tmp_path_factory.mktemp("corpus"))


def paths(folder: Path, split: str) -> set[str]:
    return {track.path for track in load_manifest(folder, (split,))}


def test_views_are_nested_and_hold_out_the_same_music(data: Path, tmp_path: Path) -> None:
    corpus = Corpus(data, tmp_path / "views")
    assert corpus.hours == pytest.approx(24 / 3600)
    smaller, larger = (corpus.view(seconds / 3600) for seconds in (4, 12))
    assert len(paths(smaller, "train")) == 1
    assert len(paths(larger, "train")) == 3
    assert paths(smaller, "train") < paths(larger, "train") < paths(data, "train")
    for split in ("valid", "test"):
        assert paths(smaller, split) == paths(data, split)
    for track in load_manifest(smaller):
        assert (smaller / track.path).resolve() == (data / track.path).resolve()
    assert (smaller / ".bandtok-cache").resolve() == (data / ".bandtok-cache").resolve()
    assert corpus.view(4 / 3600) == smaller  # a second time


def test_all_of_it_and_more_is_the_corpus_itself(data: Path, tmp_path: Path) -> None:
    corpus = Corpus(data, tmp_path)
    assert corpus.view(None) == data
    assert corpus.view(100.0) == data


def test_even_the_smallest_view_has_a_track(data: Path, tmp_path: Path) -> None:
    assert len(paths(Corpus(data, tmp_path).view(1e-6), "train")) == 1


def test_a_corpus_without_held_out_music_is_refused(data: Path, tmp_path: Path) -> None:
    text = (data / "manifest.jsonl").read_text()
    (tmp_path / "manifest.jsonl").write_text(
        "".join(line + "\n" for line in text.splitlines() if '"train"' in line)
    )
    with pytest.raises(DataError, match="expected some to measure on"):
        Corpus(tmp_path, tmp_path / "views")


def test_runs_of_another_corpus_are_not_taken_over(data: Path, tmp_path: Path) -> None:
    RunStore(Corpus(data, tmp_path / "views"), tmp_path / "runs", TINY)
    other = synthetic_corpus(tmp_path / "other")
    lines = (other / "manifest.jsonl").read_text().splitlines()
    (other / "manifest.jsonl").write_text("\n".join(lines[1:]) + "\n")
    with pytest.raises(ConfigError, match="another corpus"):
        RunStore(Corpus(other, tmp_path / "views"), tmp_path / "runs", TINY)


def test_only_the_tiny_scale_makes_music_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--data"):
        open_store(None, tmp_path, "short")
