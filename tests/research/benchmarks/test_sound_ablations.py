"""The rows of the losses of joint training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from bandtok.evaluation.corpus import ReconstructionSettings
from bandtok.training.recipes import vocoder as recipes
from bandtok.training.settings import describe, override
from bandtok.vocoder.config import DEBUG_VOCODER
from research.benchmarks.sound_ablations import ADDED, SoundStudy, page, rows, table

SMALL = {
    "loop.steps": "1", "batch_size": "1", "crop_mel_frames": "32", "validation_crops": "1",
    "model_dim": str(DEBUG_VOCODER.model_dim), "num_blocks": str(DEBUG_VOCODER.num_blocks),
    "expansion": str(DEBUG_VOCODER.expansion), "num_corrections": "1", "precision": "float32",
}  # fmt: skip


def test_every_row_differs_from_the_base_by_one_loss() -> None:
    recipe = recipes.joint_sharp()
    base, *single, everything = [
        describe(override(recipe, ablation.settings)) for ablation in rows()
    ]
    names = [name for names in ADDED.values() for name in names]
    assert not any(base[name] for name in names)
    assert everything == describe(recipe)
    for name, row in zip(names, single, strict=True):
        assert {key for key in row if row[key] != base[key]} == {name}
        assert row[name] == everything[name]


def test_a_table_shows_the_measures_that_there_are() -> None:
    found = list(table([("start", {"flicker": 0.5}), ("all", {"flicker": 0.75, "mmd": 2.0})]))
    assert found == [
        "| row | flicker | MMD |",
        "| --- | --- | --- |",
        "| start | 0.500 | – |",
        "| all | 0.750 | 2.00 |",
    ]


@pytest.mark.slow
def test_rows_are_trained_and_measured_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = np.random.default_rng(0).uniform(-0.3, 0.3, 3 * 44_100)
    soundfile.write(tmp_path / "a.wav", samples, 44_100)
    chosen = [rows()[0], rows()[1]]
    monkeypatch.setattr("research.benchmarks.sound_ablations.rows", lambda: chosen)
    study = SoundStudy(
        data=tmp_path,
        runs=tmp_path / "runs",
        tokenizer="debug",
        vocoder="debug",
        measured=ReconstructionSettings(
            split=None, max_clips=1, systems=("bandtok",), excerpt_seconds=2.0, embedders=()
        ),
        settings=SMALL,
    )
    text = page(study)
    written = (tmp_path / "runs" / "texture" / "metrics.jsonl").stat().st_mtime_ns
    assert [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| ")] == [
        "| row", "| ---", "| start", "| no adversary", "| + texture",
    ]  # fmt: skip
    assert page(study) == text
    assert (tmp_path / "runs" / "texture" / "metrics.jsonl").stat().st_mtime_ns == written
