"""The language model's training task."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bandtok.data.shards import TokenCorpus
from bandtok.errors import ConfigError
from bandtok.lm.beat import TEMPO_BINS, tempo_bin
from bandtok.lm.model import MusicLM
from bandtok.lm.text_embeddings import HashTextEncoder
from bandtok.tokens.grid import TokenGrid
from bandtok.training.images import grid_image
from bandtok.training.lm import LMTask, LMTraining
from bandtok.training.loop import run_loop
from bandtok.training.recipes import lm as recipes
from bandtok.training.run import RunReport, _start_from, train
from bandtok.training.token_loss import unigram_loss

BANDS, SIZE = 4, 12


@pytest.fixture
def recipe() -> LMTraining:
    return recipes.debug()


def _task(recipe: LMTraining, corpus: TokenCorpus) -> LMTask:
    return LMTask(recipe, corpus, HashTextEncoder(8))


def test_the_model_takes_its_physics_from_the_shards(
    recipe: LMTraining, corpus: TokenCorpus
) -> None:
    config = _task(recipe, corpus).network.config
    assert (config.num_bands, config.codebook_size) == (BANDS, SIZE)
    assert (config.sample_rate, config.frame_rate) == (8000, 20.0)
    assert (config.tokenizer_fingerprint, config.text_dim) == ("abc", 8)


def test_the_loss_falls(recipe: LMTraining, corpus: TokenCorpus) -> None:
    task = _task(replace(recipe, learning_rate=1e-2), corpus)
    losses = [task.step(step)["loss"] for step in range(30)]
    assert losses[0] == pytest.approx(np.log(SIZE), abs=0.5)
    assert np.mean(losses[-3:]) < 0.6 * losses[0]


def test_a_step_depends_only_on_state_and_number(recipe: LMTraining, corpus: TokenCorpus) -> None:
    first, second = _task(recipe, corpus), _task(recipe, corpus)
    for step in (7, 8):
        torch.manual_seed(step)
        numbers = first.step(step)
        torch.manual_seed(step)
        assert second.step(step) == numbers


def test_weights_decay_only_where_they_multiply(recipe: LMTraining, corpus: TokenCorpus) -> None:
    task = _task(recipe, corpus)
    groups = [g for optimizer in task.optimizers.values() for g in optimizer.param_groups]
    for group in groups:
        multiply = all(parameter.ndim == 2 for parameter in group["params"])
        assert group["weight_decay"] == (recipe.weight_decay if multiply else 0.0)
    assert sum(len(group["params"]) for group in groups) == len(list(task.network.parameters()))


def test_validation_is_fixed_and_by_band(recipe: LMTraining, corpus: TokenCorpus) -> None:
    task = _task(recipe, corpus)
    task.network.eval()
    with torch.no_grad():
        numbers, again = task.validate(task.network), task.validate(task.network)
    assert numbers == again
    bands = [numbers[f"loss_band_{band:02d}"] for band in range(BANDS)]
    assert np.mean(bands) == pytest.approx(numbers["loss"], rel=1e-5)
    assert numbers["loss_with_text"] == numbers["loss"]


def test_validation_tells_right_words_from_none_and_wrong_ones(
    recipe: LMTraining, corpus: TokenCorpus
) -> None:
    task = _task(recipe, corpus)
    task.valid = replace(task.valid, captions=["calm piano", "loud drums", "calm piano"])
    with torch.no_grad():
        for parameter in task.network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
        numbers = task.validate(task.network.eval())
    names = ("loss_with_text", "loss_without_text", "loss_with_wrong_text")
    assert len({numbers[name] for name in names}) == 3
    gain = numbers["loss_with_wrong_text"] - numbers["loss_with_text"]
    assert numbers["text_log_likelihood_ratio"] == pytest.approx(gain, abs=1e-6)
    assert numbers["loss_infilled"] != numbers["loss_infilled_past_only"]


def test_accumulated_batches_are_one_larger_batch(recipe: LMTraining, corpus: TokenCorpus) -> None:
    task = _task(replace(recipe, infill_prob=0.0, grad_accum_steps=3), corpus)
    before = [parameter.clone() for parameter in task.network.parameters()]
    numbers = task.step(4)
    found = [parameter.grad.clone() for parameter in task.network.parameters()]
    for parameter, value in zip(task.network.parameters(), before, strict=True):
        parameter.data.copy_(value)
        parameter.grad = None
    mean = torch.stack([task._loss(batch) for batch in task._make_batches(4)]).mean()
    mean.backward()
    assert numbers["loss"] == pytest.approx(float(mean.detach()), rel=1e-6)
    norm = torch.stack([p.grad.norm() for p in task.network.parameters()]).norm()
    for grad, parameter in zip(found, task.network.parameters(), strict=True):
        clipped = parameter.grad * min(1.0, 1.0 / float(norm))
        torch.testing.assert_close(grad, clipped, atol=1e-6, rtol=1e-3)


def test_known_tokens_count_by_their_weight(recipe: LMTraining, corpus: TokenCorpus) -> None:
    losses = []
    for weight in (0.0, 1.0):
        settings = replace(recipe, infill_prob=1.0, known_token_loss_weight=weight)
        losses.append(_task(settings, corpus).step(0)["loss"])
    assert losses[0] != losses[1]


def test_openings_count_more_and_fade(recipe: LMTraining, corpus: TokenCorpus) -> None:
    """Windows of which nothing is known, that is; in others all says what is to come."""
    task = _task(replace(recipe, prefix_loss_weight=2.0, known_token_loss_weight=0.5), corpus)
    keep = torch.zeros(2, BANDS, 40, dtype=torch.bool)
    keep[1, :, 5:] = True
    opening, edited = task._weights(keep)
    assert opening[0, 0] == opening[-1, 0] == 3.0
    assert 1 + 2 / 2.8 < opening[0, 16] < 1 + 2 / 2.6
    assert (opening.diff(dim=1) < 0).all()
    assert edited[0].tolist() == 5 * [1.0] + 35 * [0.5]


def test_a_network_learns_to_fill_a_gap(recipe: LMTraining, corpus: TokenCorpus) -> None:
    """What a code will be is told by the frame after it here, so hearing it must help."""
    task = _task(replace(recipe, learning_rate=1e-2, infill_prob=1.0), corpus)
    for step in range(40):
        task.step(step)
    task.network.eval()
    with torch.no_grad():
        numbers = task.validate(task.network)
    assert numbers["loss_infilled"] < 0.8 * numbers["unigram_loss"]


def test_unigram_loss_by_hand() -> None:
    counts = np.array([[2, 0], [0, 0]])
    codes = np.array([[[0, 1], [1, 1]]])
    expected = -np.mean([np.log(3 / 4), np.log(1 / 4), np.log(1 / 2), np.log(1 / 2)])
    assert unigram_loss(counts, codes) == pytest.approx(expected)


@pytest.fixture
def with_beat(recipe: LMTraining) -> LMTraining:
    return replace(recipe, network=replace(recipe.network, beat_conditioning=True))


def test_validation_without_any_beat_is_a_number(
    with_beat: LMTraining, beating: TokenCorpus
) -> None:
    shard = beating.shards[2]
    beating.shards[2] = replace(shard, segments=())
    task = _task(with_beat, beating)
    assert task.validate(task.network)["beat_gain"] == 0.0


def test_beat_conditioning_stays_as_it_is_where_no_beat_is_known(
    with_beat: LMTraining, corpus: TokenCorpus, tmp_path: Path
) -> None:
    task = _task(replace(with_beat, weight_decay=0.0), corpus)
    network = task.network
    assert isinstance(network, MusicLM)
    before = {name: value.clone() for name, value in network.beat_weights().items()}
    task.step(0)
    assert before
    after = network.beat_weights()
    assert all(torch.equal(after[name], before[name]) for name in before)
    lines: list[str] = []
    train(
        "lm", "debug", data=corpus.folder, out=tmp_path / "run",
        settings={"beat_conditioning": "true", "loop.steps": "1", "sampled_frames": "0"},
        report=RunReport(warn=lines.append),
    )  # fmt: skip
    assert "knows no beats" in lines[0]


def test_the_clock_is_trained_and_told_in_validation(
    with_beat: LMTraining, beating: TokenCorpus
) -> None:
    task = _task(replace(with_beat, learning_rate=1e-2, infill_prob=0.0), beating)
    assert task.config.beat_conditioning
    for step in range(30):
        task.step(step)
    numbers = task.validate(task.network)
    assert numbers["loss_with_beat"] != numbers["loss_with_text"]
    gain = numbers["loss_with_text"] - numbers["loss_with_beat"]
    assert numbers["beat_gain"] == pytest.approx(gain, abs=1e-5)
    # The one validation piece is played far faster than any that was learned from.
    assert numbers["tempo_found"] == 0.0
    network = task.network
    assert isinstance(network, MusicLM)
    text = HashTextEncoder(8).encode(["Piece of mind 0, calm piano, fast"])
    assert network.tempo_scores(text).argmax().item() in (tempo_bin(120.0), TEMPO_BINS)


def test_weights_without_a_clock_can_learn_one(with_beat: LMTraining, beating: TokenCorpus) -> None:
    task = _task(with_beat, beating)
    network = task.network
    assert isinstance(network, MusicLM)
    fresh = {name: value.clone() for name, value in network.beat_weights().items()}
    start = MusicLM(replace(task.config, beat_conditioning=False))
    _start_from(task, start)
    assert len(fresh) > 4
    expected = start.state_dict() | fresh
    found = network.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_the_clock_is_heard_in_its_share(with_beat: LMTraining, beating: TokenCorpus) -> None:
    for share, caption_dropout in ((1.0, 0.0), (0.0, 1.0)):
        recipe = replace(with_beat, beat_prob=share, caption_dropout=caption_dropout, batch_size=32)
        (batch,) = _task(recipe, beating)._make_batches(0)
        assert batch.beat_grid is not None
        assert 0 < (batch.beat_grid.beats_per_frame > 0).sum() < 32  # one piece has no beat
    recipe = replace(with_beat, beat_prob=0.0, caption_dropout=0.0)
    (batch,) = _task(recipe, beating)._make_batches(0)
    assert batch.beat_grid is not None
    assert batch.beat_grid.is_empty


def test_settings_out_of_range_are_refused() -> None:
    for changes in ({"caption_dropout": 2.0}, {"precision": "half"}, {"batch_size": 0}):
        with pytest.raises(ConfigError, match=next(iter(changes))):
            LMTraining(**changes)  # type: ignore[arg-type]


def test_grid_image_has_the_lowest_band_at_the_bottom() -> None:
    image = grid_image(TokenGrid(codes=np.array([[1, 1], [0, 0]]), codebook_size=2), size=3)
    assert image.shape == (6, 6, 3)
    assert (image[:3] == image[0, 0]).all()
    assert (image[3:] == image[-1, 0]).all()
    assert (image[0, 0] != image[-1, 0]).any()


class StopsAfter(LMTask):
    """Breaks off, as a killed run does."""

    def __init__(self, steps: int, recipe: LMTraining, corpus: TokenCorpus) -> None:
        super().__init__(recipe, corpus, HashTextEncoder(8))
        self.steps = steps

    def step(self, step: int) -> dict[str, float]:
        if step == self.steps:
            raise StopIteration
        return super().step(step)


def test_a_resumed_run_equals_one_that_never_stopped(
    recipe: LMTraining, corpus: TokenCorpus, tmp_path: Path
) -> None:
    whole = _task(recipe, corpus)
    run_loop(whole, recipe.loop, tmp_path / "whole")
    stopped = StopsAfter(3, recipe, corpus)
    with pytest.raises(StopIteration):
        run_loop(stopped, recipe.loop, tmp_path / "parts")
    part = _task(recipe, corpus)
    run_loop(part, recipe.loop, tmp_path / "parts", resume=True)
    for one, other in zip(whole.network.parameters(), part.network.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert (tmp_path / "whole" / "model" / "model.safetensors").exists()
    assert list((tmp_path / "whole" / "images").glob("grid-real-sampled-*.png"))


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("default", (5, 15)),
        ("control_1d", (5, 15)),
        ("delay", (5, 15)),
        ("large_100m", (90, 110)),
        ("large_350m", (315, 385)),
        ("debug", (0, 1)),
    ],
)
def test_every_recipe_builds(name: str, millions: tuple[int, int]) -> None:
    recipe = getattr(recipes, name)()
    assert isinstance(recipe, LMTraining)
    assert recipe.network.rope == ("1d" if name == "control_1d" else "2d")
    assert recipe.network.order == ("delay" if name == "delay" else "raster")
    with torch.device("meta"):
        parameters = sum(p.numel() for p in MusicLM(recipe.network).parameters())
    assert millions[0] <= parameters / 1e6 <= millions[1]


@pytest.mark.parametrize("name", ["default", "control_1d", "delay", "large_100m", "large_350m"])
def test_every_recipe_trains_a_step(name: str, beating: TokenCorpus) -> None:
    """As deep as it is, with all its settings but its widths, which alone take memory and time."""
    recipe = getattr(recipes, name)()
    heads = recipe.network.num_heads
    network = replace(
        recipe.network,
        model_dim=4 * heads,
        mlp_dim=16 * heads,
        condition_dim=8,
        code_dim=4,
        text_encoder="hash:8",
        window_frames=8,
    )
    small = replace(recipe, network=network, batch_size=1, grad_accum_steps=1, device="cpu")
    task = _task(small, beating)
    before = [parameter.clone() for parameter in task.network.parameters()]
    numbers = task.step(0)
    assert numbers["loss"] == pytest.approx(np.log(SIZE), abs=1.0)
    moved = [
        not torch.equal(now, then)
        for now, then in zip(task.network.parameters(), before, strict=True)
    ]
    assert sum(moved) > 0.8 * len(moved)
