"""The set of tokenizer ablations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from bandtok.training.recipes import tokenizer as recipes
from bandtok.training.settings import describe, override
from research.benchmarks.ablations import measure, table
from research.claims.ablations import GROUPS, Ablation

TINY = {
    "base_channels": "8",
    "grid_channels": "16",
    "codebook_size": "16",
    "code_dim": "4",
    "steps": "2",
    "quantize_start_step": "1",
    "batch_size": "2",
    "crop_mel_frames": "16",
    "validation_crops": "2",
}


@pytest.mark.parametrize("group", GROUPS)
def test_every_lever_fits_the_recipe_and_changes_it(group: str) -> None:
    base = describe(recipes.probe())
    names = [ablation.name for ablation in GROUPS[group]]
    assert len(set(names)) == len(names)
    for ablation in GROUPS[group]:
        changed = describe(override(recipes.probe(), ablation.settings))
        assert (changed != base) == bool(ablation.settings)


def test_a_lever_is_trained_once_and_told_in_a_row(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "a.wav", rng.uniform(-0.5, 0.5, 44_100), 44_100)
    ablation = Ablation(name="loud", settings={"loud_weight": "0.5"})
    first = measure(ablation, tmp_path, tmp_path / "runs", TINY)
    written = (tmp_path / "runs" / "loud" / "metrics.jsonl").stat().st_mtime_ns
    assert measure(ablation, tmp_path, tmp_path / "runs", TINY) == first
    assert (tmp_path / "runs" / "loud" / "metrics.jsonl").stat().st_mtime_ns == written
    *_, row = table([(ablation, first)])
    assert row.startswith(f"| loud | {first['mel_loss_below_15_khz']:.4f} |")
    assert row.endswith("| `loud_weight=0.5` |")
