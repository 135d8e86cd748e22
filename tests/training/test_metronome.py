"""The metronome's training task."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bandtok.checkpoint import load_network
from bandtok.data.shards import TokenCorpus
from bandtok.errors import ConfigError, DataError
from bandtok.music_lm.clock import TEMPO_BINS, tempo_bin
from bandtok.music_lm.metronome import Metronome
from bandtok.music_lm.text import HashTextEncoder
from bandtok.networks import METRONOME_KIND
from bandtok.recipes import metronome as recipes
from bandtok.recipes.run import train
from bandtok.training.metronome import MetronomeTask, MetronomeTraining


def _task(corpus: TokenCorpus, **changes: object) -> MetronomeTask:
    return MetronomeTask(replace(recipes.debug(), **changes), corpus, HashTextEncoder(8))


def test_it_takes_its_physics_from_the_shards(beating: TokenCorpus) -> None:
    config = _task(beating).config
    assert (config.num_bands, config.codebook_size, config.frame_rate) == (4, 12, 20.0)
    assert (config.tokenizer_fingerprint, config.text_dim) == ("abc", 8)


def test_music_without_a_known_beat_is_refused(corpus: TokenCorpus) -> None:
    with pytest.raises(DataError, match="knows the beat of no music"):
        _task(corpus)


def test_it_learns_the_codes_the_beat_and_the_tempo(ticking: TokenCorpus) -> None:
    task = _task(ticking, learning_rate=1e-2, batch_size=8, captions=8)
    losses = [task.step(step)["loss"] for step in range(120)]
    assert losses[0] == pytest.approx(np.log(12), abs=0.7)
    numbers = task.validate(task.network)
    assert numbers["loss"] < 0.8 * losses[0]
    assert numbers["clock_gain"] > 0.15
    assert numbers["loss_without_clock"] > numbers["loss"]
    assert numbers["tempo_found"] == 1.0


def test_a_step_depends_only_on_state_and_number(beating: TokenCorpus) -> None:
    first, second = _task(beating), _task(beating)
    for step in (7, 8):
        assert second.step(step) == first.step(step)


def test_each_caption_suggests_its_tempo(beating: TokenCorpus) -> None:
    task = _task(beating, learning_rate=1e-2, captions=8)
    for step in range(60):
        task.step(step)
    network = task.network
    assert isinstance(network, Metronome)
    text = HashTextEncoder(8).encode(["Piece of mind 0, calm piano, fast"])
    assert network.tempo_scores(text).argmax().item() in (tempo_bin(120.0), TEMPO_BINS)
    # The one validation piece is played far faster than any that was learned from.
    assert task.validate(network)["tempo_found"] == 0.0


def test_validation_without_any_beat_is_a_number(beating: TokenCorpus) -> None:
    shard = beating.shards[2]
    beating.shards[2] = replace(shard, segments=())
    task = _task(beating)
    numbers = task.validate(task.network)
    assert numbers["clock_gain"] == numbers["tempo_found"] == 0.0


def test_weights_decay_only_where_they_multiply(beating: TokenCorpus) -> None:
    (optimizer,) = _task(beating, weight_decay=0.5).optimizers.values()
    for group in optimizer.param_groups:
        assert {p.ndim > 1 for p in group["params"]} == {group["weight_decay"] > 0}


@pytest.mark.parametrize(
    "change",
    [{"clock_share": 1.5}, {"batch_size": 0}, {"captions": 0}, {"window_frames": 0}],
)
def test_settings_out_of_range_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        MetronomeTraining(**change)  # type: ignore[arg-type]


def test_the_bundled_recipe_is_complete() -> None:
    assert recipes.bundled().network.codebook_size == 4096


def test_a_run_leaves_a_metronome(ticking: TokenCorpus, tmp_path: Path) -> None:
    result = train("metronome", "debug", data=ticking.folder, out=tmp_path / "run")
    assert result.finished
    network = load_network(METRONOME_KIND, tmp_path / "run")
    assert isinstance(network, Metronome)
    assert network.config.tokenizer_fingerprint == "abc"
