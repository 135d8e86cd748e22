"""The language model's training task."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bandtok.data.segments import Segment
from bandtok.data.shards import TokenCorpus
from bandtok.data.token_windows import WindowSampler
from bandtok.errors import ConfigError, DataError
from bandtok.music_lm import MusicLM
from bandtok.music_lm.clock import TEMPO_BINS, tempo_bin
from bandtok.music_lm.text import HashTextEncoder
from bandtok.recipes import music_lm as recipes
from bandtok.training.loop import run_loop
from bandtok.training.music_lm import (
    CaptionedWindows,
    CaptionStates,
    MusicLMTask,
    MusicLMTraining,
    grid_image,
    other_captions,
    unigram_loss,
)

BANDS, SIZE = 4, 12


@pytest.fixture
def corpus(tmp_path: Path) -> TokenCorpus:
    """Codes that can be learned: each frame goes on where the one before was."""
    folder = tmp_path / "shards"
    (folder / "codes").mkdir(parents=True)
    entries = []
    for number, split in enumerate(("train", "train", "valid")):
        frames = 30 + number
        codes = (np.arange(frames) + np.arange(BANDS)[:, None] + number) % SIZE
        np.save(folder / "codes" / f"{number}.npy", codes.astype(np.uint16))
        entries.append(
            {
                "file": f"codes/{number}.npy",
                "path": f"{number}.wav",
                "offset_samples": 0,
                "num_frames": frames,
                "split": split,
                "title": f"Piece of mind {number}",
                "style": ["calm", "piano"],
                "package": "",
            }
        )
    facts = {
        "num_bands": BANDS,
        "codebook_size": SIZE,
        "sample_rate": 8000,
        "samples_per_frame": 400,
        "fingerprint": "abc",
    }
    index = {"format": 1, "tokenizer": facts, "shards": entries}
    (folder / "index.json").write_text(json.dumps(index))
    return TokenCorpus(folder)


@pytest.fixture
def recipe() -> MusicLMTraining:
    return recipes.debug()


def _task(recipe: MusicLMTraining, corpus: TokenCorpus) -> MusicLMTask:
    return MusicLMTask(recipe, corpus, HashTextEncoder(8))


def test_the_model_takes_its_physics_from_the_shards(
    recipe: MusicLMTraining, corpus: TokenCorpus
) -> None:
    config = _task(recipe, corpus).network.config
    assert (config.num_bands, config.codebook_size) == (BANDS, SIZE)
    assert (config.sample_rate, config.frame_rate) == (8000, 20.0)
    assert (config.tokenizer_fingerprint, config.text_dim) == ("abc", 8)


def test_the_loss_falls(recipe: MusicLMTraining, corpus: TokenCorpus) -> None:
    task = _task(replace(recipe, learning_rate=1e-2), corpus)
    losses = [task.step(step)["loss"] for step in range(30)]
    assert losses[0] == pytest.approx(np.log(SIZE), abs=0.5)
    assert np.mean(losses[-3:]) < 0.6 * losses[0]


def test_a_step_depends_only_on_state_and_number(
    recipe: MusicLMTraining, corpus: TokenCorpus
) -> None:
    first, second = _task(recipe, corpus), _task(recipe, corpus)
    for step in (7, 8):
        torch.manual_seed(step)
        numbers = first.step(step)
        torch.manual_seed(step)
        assert second.step(step) == numbers


def test_weights_decay_only_where_they_multiply(
    recipe: MusicLMTraining, corpus: TokenCorpus
) -> None:
    task = _task(recipe, corpus)
    groups = [g for optimizer in task.optimizers.values() for g in optimizer.param_groups]
    for group in groups:
        multiply = all(parameter.ndim == 2 for parameter in group["params"])
        assert group["weight_decay"] == (recipe.weight_decay if multiply else 0.0)
    assert sum(len(group["params"]) for group in groups) == len(list(task.network.parameters()))


def test_validation_is_fixed_and_by_band(recipe: MusicLMTraining, corpus: TokenCorpus) -> None:
    task = _task(recipe, corpus)
    task.network.eval()
    with torch.no_grad():
        numbers, again = task.validate(task.network), task.validate(task.network)
    assert numbers == again
    bands = [numbers[f"loss_band_{band:02d}"] for band in range(BANDS)]
    assert np.mean(bands) == pytest.approx(numbers["loss"], rel=1e-5)
    assert numbers["loss_with_text"] == numbers["loss"]


def test_validation_tells_right_words_from_none_and_wrong_ones(
    recipe: MusicLMTraining, corpus: TokenCorpus
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
    assert numbers["text_gain"] == pytest.approx(gain, abs=1e-6)
    assert numbers["loss_infilled"] != numbers["loss_infilled_past_only"]


def test_wrong_captions_are_those_of_other_windows() -> None:
    captions = ["a", "a", "b", "c"]
    others = other_captions(captions)
    assert all(
        other in captions and other != own for own, other in zip(captions, others, strict=True)
    )
    assert other_captions(["a", "a"]) == ["a", "a"]


def test_accumulated_batches_are_one_larger_batch(
    recipe: MusicLMTraining, corpus: TokenCorpus
) -> None:
    task = _task(replace(recipe, edit_share=0.0, accumulation=3), corpus)
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


def test_known_tokens_count_by_their_weight(recipe: MusicLMTraining, corpus: TokenCorpus) -> None:
    losses = []
    for weight in (0.0, 1.0):
        settings = replace(recipe, edit_share=1.0, context_weight=weight)
        losses.append(_task(settings, corpus).step(0)["loss"])
    assert losses[0] != losses[1]


def test_openings_count_more_and_fade(recipe: MusicLMTraining, corpus: TokenCorpus) -> None:
    """Windows of which nothing is known, that is; in others all says what is to come."""
    task = _task(replace(recipe, opening_weight=2.0, context_weight=0.5), corpus)
    keep = torch.zeros(2, BANDS, 40, dtype=torch.bool)
    keep[1, :, 5:] = True
    opening, edited = task._weights(keep)
    assert opening[0, 0] == opening[-1, 0] == 3.0
    assert 1 + 2 / 2.8 < opening[0, 16] < 1 + 2 / 2.6
    assert (opening.diff(dim=1) < 0).all()
    assert edited[0].tolist() == 5 * [1.0] + 35 * [0.5]


def test_a_network_learns_to_fill_a_gap(recipe: MusicLMTraining, corpus: TokenCorpus) -> None:
    """What a code will be is told by the frame after it here, so hearing it must help."""
    task = _task(replace(recipe, learning_rate=1e-2, edit_share=1.0), corpus)
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


def test_captions_are_left_out_in_their_share(recipe: MusicLMTraining, corpus: TokenCorpus) -> None:
    task = _task(replace(recipe, null_share=0.25), corpus)
    captions = task.train.draw(400, np.random.default_rng(0)).captions
    assert sum(not text for text in captions) / 400 == pytest.approx(0.25, abs=0.06)
    assert len(set(captions)) > 2


@pytest.fixture
def beating(corpus: TokenCorpus) -> TokenCorpus:
    """The same corpus, two pieces with a beat (one of them a semitone up) and one without."""
    for number, shard in enumerate(corpus.shards):
        segment = Segment(
            start_seconds=0.0,
            end_seconds=10.0,
            words={"tempo": {"fast": 1.0}},
            bpm=None if number == 1 else 120.0,
            bpm_weight=0.0 if number == 1 else 1.0,
            beat_seconds=None if number == 1 else 0.1,
        )
        corpus.shards[number] = replace(
            shard, segments=(segment,), frame_seconds=0.05, semitones=12 * number
        )
    return corpus


@pytest.fixture
def clocked(recipe: MusicLMTraining) -> MusicLMTraining:
    return replace(recipe, network=replace(recipe.network, beat_clock=True))


def test_windows_know_their_beat_at_the_speed_they_are_played_at(beating: TokenCorpus) -> None:
    windows = CaptionedWindows(beating, "train", 20)
    found = windows._captioned(windows.windows._windows([0, 1], [4, 4]), ["fast", "fast"])
    # 120 beats a minute are .1 a frame of .05 s; frame 4 is .1 s after the beat at .1 s.
    np.testing.assert_allclose(found.clock.beats_per_frame, [0.1, 0.0])
    np.testing.assert_allclose(found.clock.beats, [0.2, 0.0])
    assert found.tempo.tolist() == [tempo_bin(120.0), TEMPO_BINS]
    silent = windows._captioned(windows.windows._windows([0], [4]), [""])
    assert silent.tempo.tolist() == [-1]
    up = CaptionedWindows(beating, "valid", 20).spread(1)  # two octaves up: four times as fast
    np.testing.assert_allclose(up.clock.beats_per_frame, [0.4])


def test_music_of_which_nothing_is_known_suggests_no_tempo(corpus: TokenCorpus) -> None:
    found = CaptionedWindows(corpus, "train", 20).spread(2)
    assert found.tempo.tolist() == [-1, -1]
    assert found.clock.is_null


def test_a_tempo_whose_beat_was_never_measured_is_not_taken_for_none(beating: TokenCorpus) -> None:
    shard = beating.shards[0]
    beating.shards[0] = replace(shard, segments=(replace(shard.segments[0], beat_seconds=None),))
    windows = CaptionedWindows(beating, "train", 20)
    found = windows._captioned(windows.windows._windows([0, 1], [4, 4]), ["fast", "fast"])
    assert found.tempo.tolist() == [-1, TEMPO_BINS]
    assert found.clock.is_null


def test_validation_without_any_beat_is_a_number(
    clocked: MusicLMTraining, beating: TokenCorpus
) -> None:
    shard = beating.shards[2]
    beating.shards[2] = replace(shard, segments=())
    task = _task(clocked, beating)
    assert task.validate(task.network)["clock_gain"] == 0.0


def test_there_is_a_clock_only_where_beats_are_known(
    clocked: MusicLMTraining, corpus: TokenCorpus, tmp_path: Path
) -> None:
    assert not _task(clocked, corpus).config.beat_clock


def test_the_clock_is_trained_and_told_in_validation(
    clocked: MusicLMTraining, beating: TokenCorpus
) -> None:
    task = _task(replace(clocked, learning_rate=1e-2, edit_share=0.0), beating)
    assert task.config.beat_clock
    for step in range(30):
        task.step(step)
    numbers = task.validate(task.network)
    assert numbers["loss_with_clock"] != numbers["loss_with_text"]
    gain = numbers["loss_with_text"] - numbers["loss_with_clock"]
    assert numbers["clock_gain"] == pytest.approx(gain, abs=1e-5)
    # The one validation piece is played far faster than any that was learned from.
    assert numbers["tempo_found"] == 0.0
    network = task.network
    assert isinstance(network, MusicLM)
    text = HashTextEncoder(8).encode(["Piece of mind 0, calm piano, fast"])
    assert network.tempo_scores(text).argmax().item() in (tempo_bin(120.0), TEMPO_BINS)


def test_the_clock_is_heard_in_its_share(clocked: MusicLMTraining, beating: TokenCorpus) -> None:
    for share, null_share in ((1.0, 0.0), (0.0, 1.0)):
        recipe = replace(clocked, clock_share=share, null_share=null_share, batch_size=32)
        (batch,) = _task(recipe, beating)._make_batches(0)
        assert batch.clock is not None
        assert 0 < (batch.clock.beats_per_frame > 0).sum() < 32  # one piece has no beat
    recipe = replace(clocked, clock_share=0.0, null_share=0.0)
    (batch,) = _task(recipe, beating)._make_batches(0)
    assert batch.clock is not None
    assert batch.clock.is_null


def test_each_caption_is_encoded_once() -> None:
    class Counting(HashTextEncoder):
        seen: list[str] = []  # noqa: RUF012

        def encode(self, texts):  # type: ignore[no-untyped-def]
            self.seen.extend(texts)
            return super().encode(texts)

    captions = CaptionStates(Counting(8))
    first = captions(["a b", "", "a b"])
    captions(["", "c", "a b"])
    assert Counting.seen == ["a b", "", "c"]
    expected = HashTextEncoder(8).encode(["a b", "", "a b"])
    assert torch.equal(first.states, expected.states)
    assert torch.equal(first.mask, expected.mask)


def test_windows(corpus: TokenCorpus) -> None:
    windows = WindowSampler(corpus, corpus.shards, 31)
    assert [shard.path for shard in windows.shards] == ["1.wav", "2.wav"]
    drawn = windows.draw(40, np.random.default_rng(0))
    assert drawn.codes.shape == (40, BANDS, 31)
    places = zip(drawn.codes, drawn.shards, drawn.first_frames, strict=True)
    for window, shard, first in places:
        expected = corpus.codes(shard)[:, first : first + 31]
        np.testing.assert_array_equal(window, expected)
    assert len(set(drawn.first_frames)) > 1
    fixed = WindowSampler(corpus, corpus.shards, 5).spread(6)
    assert [shard.path[0] for shard in fixed.shards] == list("012012")
    assert not torch.equal(fixed.codes[0], fixed.codes[3])
    with pytest.raises(DataError, match="none of 3 shards has 99 frames"):
        WindowSampler(corpus, corpus.shards, 99)


def test_settings_out_of_range_are_refused() -> None:
    for changes in ({"null_share": 2.0}, {"precision": "half"}, {"batch_size": 0}):
        with pytest.raises(ConfigError, match=next(iter(changes))):
            MusicLMTraining(**changes)  # type: ignore[arg-type]


def test_grid_image_has_the_lowest_band_at_the_bottom() -> None:
    image = grid_image(torch.tensor([[1, 1], [0, 0]]), 2, size=3)
    assert image.shape == (6, 6, 3)
    assert (image[:3] == image[0, 0]).all()
    assert (image[3:] == image[-1, 0]).all()
    assert (image[0, 0] != image[-1, 0]).any()


class StopsAfter(MusicLMTask):
    """Breaks off, as a killed run does."""

    def __init__(self, steps: int, recipe: MusicLMTraining, corpus: TokenCorpus) -> None:
        super().__init__(recipe, corpus, HashTextEncoder(8))
        self.steps = steps

    def step(self, step: int) -> dict[str, float]:
        if step == self.steps:
            raise StopIteration
        return super().step(step)


def test_a_resumed_run_equals_one_that_never_stopped(
    recipe: MusicLMTraining, corpus: TokenCorpus, tmp_path: Path
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
    assert list((tmp_path / "whole" / "pictures").glob("grid-real-sampled-*.png"))


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
    assert isinstance(recipe, MusicLMTraining)
    assert recipe.network.rope == ("1d" if name == "control_1d" else "2d")
    assert recipe.network.order == ("delay" if name == "delay" else "raster")
    with torch.device("meta"):
        parameters = sum(p.numel() for p in MusicLM(recipe.network).parameters())
    assert millions[0] <= parameters / 1e6 <= millions[1]


@pytest.mark.parametrize("name", ["default", "control_1d", "delay", "large_100m", "large_350m"])
def test_every_recipe_trains_a_step(name: str, corpus: TokenCorpus) -> None:
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
    small = replace(recipe, network=network, batch_size=1, accumulation=1, device="cpu")
    task = _task(small, corpus)
    before = [parameter.clone() for parameter in task.network.parameters()]
    numbers = task.step(0)
    assert numbers["loss"] == pytest.approx(np.log(SIZE), abs=1.0)
    moved = [
        not torch.equal(now, then)
        for now, then in zip(task.network.parameters(), before, strict=True)
    ]
    assert sum(moved) > 0.8 * len(moved)
