"""The metronome: what it sees and hears, and what it does to music and tempo."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from bandtok.errors import ConfigError
from bandtok.grid import flatten
from bandtok.music_lm import (
    MusicLM,
    SamplingConfig,
    TextStates,
    generate_batch,
    generate_codes,
    generation,
)
from bandtok.music_lm import metronome as metronome_module
from bandtok.music_lm.clock import (
    TEMPO_BINS,
    BeatClock,
    ClockInput,
    bin_tempo,
    draw_tempo,
    tempo_bin,
)
from bandtok.music_lm.generation import candidate_seeds
from bandtok.music_lm.metronome import AROUND, Beat, Metronome, MetronomeConfig, SeenCodes
from bandtok.music_lm.text import HashTextEncoder

Make = Callable[..., MusicLM]

GUIDED = SamplingConfig(guidance_scale=2.0)
BANDS, SIZE = 3, 11
CODES = torch.randint(0, SIZE, (2, BANDS, 6), generator=torch.Generator().manual_seed(2))


@pytest.fixture
def model(make_model: Make) -> MusicLM:
    return make_model()


@pytest.fixture
def metronome() -> Metronome:
    torch.manual_seed(3)
    config = MetronomeConfig(
        num_bands=BANDS,
        codebook_size=SIZE,
        frame_rate=10.0,
        text_dim=8,
        code_dim=4,
        model_dim=16,
        num_layers=1,
        head_dim=8,
    )
    network = Metronome(config).eval().requires_grad_(False)
    network.clock_input.outer.weight.mul_(100.0)
    network.head.weight.mul_(50.0)
    return network


@pytest.fixture
def exact_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metronome_module, "packed", lambda weight: lambda x: x @ weight.T)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[BeatClock]:
    """Clocks of the beats that were begun."""
    seen: list[BeatClock] = []
    begin = Beat.__init__

    def noted(beat: Beat, own: Metronome, clock: BeatClock, *rest: torch.Tensor) -> None:
        seen.append(clock)
        begin(beat, own, clock, *rest)

    monkeypatch.setattr(Beat, "__init__", noted)
    return seen


def _clock(*rows: tuple[float, float]) -> BeatClock:
    steps, beats = zip(*rows, strict=True)
    return BeatClock(beats_per_frame=torch.tensor(steps), beats=torch.tensor(beats))


def _prefer(metronome: Metronome, bpm: float) -> None:
    """Let every text suggest one tempo."""
    head = metronome.tempo.outer
    head.weight.zero_()
    head.bias.zero_()
    head.bias[tempo_bin(bpm)] = 50.0


@torch.no_grad()
def test_frames_at_the_same_place_of_the_beat_hear_the_same() -> None:
    heard = ClockInput(6)(_clock((0.25, 0.0), (0.25, 0.5)), 8)
    assert heard.shape == (2, 8, 6)
    torch.testing.assert_close(heard[0, 0], heard[0, 4])
    torch.testing.assert_close(heard[0, 2], heard[1, 0])
    assert not torch.allclose(heard[0, 0], heard[0, 1], atol=1e-4)


@torch.no_grad()
def test_the_tempo_itself_is_heard_and_no_beat_adds_nothing() -> None:
    heard = ClockInput(6)(_clock((0.25, 0.0), (0.5, 0.0), (0.0, 0.3)), 3)
    assert not torch.allclose(heard[0, 0], heard[1, 0], atol=1e-4)
    assert not heard[2].any()


@torch.no_grad()
def test_a_clock_moved_on_is_the_later_part_of_it() -> None:
    clock, layer = _clock((0.31, 0.7)), ClockInput(6)
    torch.testing.assert_close(layer(clock.at(5), 4), layer(clock, 9)[:, 5:], atol=1e-5, rtol=0)


@torch.no_grad()
def test_hours_into_a_piece_the_beat_is_still_exact() -> None:
    layer, frames = ClockInput(6), 40_000
    clock = BeatClock.of_tempos(torch.tensor([120.0]), 10.0)  # five frames a beat
    torch.testing.assert_close(layer(clock.at(frames), 5), layer(clock, 5), atol=1e-4, rtol=0)


def test_tempos_and_their_bins() -> None:
    assert [tempo_bin(bin_tempo(index)) for index in range(TEMPO_BINS + 1)] == list(
        range(TEMPO_BINS + 1)
    )
    assert (tempo_bin(1.0), tempo_bin(999.0)) == (0, TEMPO_BINS - 1)
    assert bin_tempo(tempo_bin(120.0)) == pytest.approx(120.0, rel=0.02)


def test_tempos_are_drawn_by_their_scores() -> None:
    scores = torch.full((TEMPO_BINS + 1,), -50.0)
    scores[tempo_bin(120.0)] = scores[TEMPO_BINS] = 0.0
    draw = torch.Generator().manual_seed(1)
    drawn = {draw_tempo(scores, draw) for _ in range(40)}
    assert drawn == {0.0, bin_tempo(tempo_bin(120.0))}


def test_it_sees_the_cells_around_and_none_outside() -> None:
    seen = SeenCodes(CODES, SIZE)
    everywhere = seen.everywhere()
    for frame in range(6):
        for band in range(BANDS):
            expected = [
                CODES[:, band + higher, frame + later].tolist()
                if 0 <= band + higher < BANDS and frame + later >= 0
                else [SIZE, SIZE]
                for later, higher in AROUND
            ]
            assert seen.at(frame, band).T.tolist() == expected
            assert torch.equal(everywhere[:, band, frame], seen.at(frame, band))


def test_what_it_sees_comes_before_in_raster_order() -> None:
    assert all(later * BANDS + higher < 0 for later, higher in AROUND if later == 0)
    assert all(later < 0 or higher < 0 for later, higher in AROUND)
    unwritten = SeenCodes(CODES, SIZE, torch.zeros(BANDS, 6, dtype=torch.bool))
    assert (unwritten.at(4, 1) == SIZE).all()
    unwritten.write(3, 1, torch.tensor([5, 7]))
    assert unwritten.at(4, 1)[:, AROUND.index((-1, 0))].tolist() == [5, 7]


@pytest.mark.usefixtures("exact_steps")
@torch.no_grad()
def test_step_by_step_it_says_what_it_says_of_the_whole(metronome: Metronome) -> None:
    clock = _clock((0.3, 0.2), (0.0, 0.0))
    beat = Beat(metronome, clock, CODES, torch.zeros(BANDS, 6, dtype=torch.bool))
    pushes = []
    for cell, codes in enumerate(flatten(CODES[0]).tolist()):
        pushes.append(beat.push(cell))
        beat.write(cell, torch.tensor([codes, flatten(CODES[1])[cell]]))
    found = torch.stack(pushes, dim=1)
    around = SeenCodes(CODES, SIZE).everywhere()
    bands = torch.arange(BANDS)[:, None].expand(-1, 6)
    ticks = metronome.clock_input(clock, 6)[:, None]
    both = [metronome.head(metronome.hidden(around, bands, one)) for one in (ticks, None)]
    pushed = both[0] - both[1]
    expected = torch.stack([pushed[:, band] for band in range(BANDS)], dim=2).flatten(1, 2)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert found[0].abs().max() > 0.1
    assert found[1].abs().max() < 1e-5  # a clip without a beat


def test_scores_are_pushed_by_the_beat_in_its_measure(
    model: MusicLM, text: TextStates, metronome: Metronome
) -> None:
    plain = generate_codes(model, text, 6, seed=3)
    same = [
        generate_codes(model, text, 6, seed=3, metronome=metronome, bpm=0),
        generate_codes(
            model, text, 6, seed=3, metronome=metronome, bpm=120.0,
            sampling=SamplingConfig(beat_scale=0.0),
        ),
    ]  # fmt: skip
    assert all(torch.equal(plain, one) for one in same)
    greedy = SamplingConfig(temperature=0.0, beat_scale=1e6)
    found = generate_codes(model, text, 4, metronome=metronome, bpm=90.0, sampling=greedy)
    # With the metronome far louder than all else, its favourites are written.
    beat = Beat(
        metronome, _clock((0.15, 0.0)), found[None], torch.zeros(BANDS, 4, dtype=torch.bool)
    )
    for cell, code in enumerate(flatten(found).tolist()):
        assert int(beat.push(cell)[0].argmax()) == code
        beat.write(cell, torch.tensor([code]))


def test_a_text_suggests_the_tempo(
    model: MusicLM, text: TextStates, metronome: Metronome, started: list[BeatClock]
) -> None:
    _prefer(metronome, 100.0)
    for bpm in ("prompt", 130.0, 0, None):
        generate_codes(model, text, 2, metronome=metronome, bpm=bpm)
    drawn, asked = started
    rate = 60.0 * metronome.config.frame_rate
    assert float(drawn.beats_per_frame[0] * rate) == pytest.approx(bin_tempo(tempo_bin(100.0)))
    assert float(asked.beats_per_frame[0] * rate) == pytest.approx(130.0)


def test_without_text_and_after_known_music_no_tempo_is_drawn(
    model: MusicLM, text: TextStates, metronome: Metronome, started: list[BeatClock]
) -> None:
    _prefer(metronome, 100.0)
    generate_codes(model, None, 2, metronome=metronome, bpm="prompt")
    start = torch.zeros(BANDS, 3, dtype=torch.int64)
    generate_codes(model, text, 2, metronome=metronome, prompt_codes=start, bpm="prompt")
    assert not started


def test_a_first_beat_falls_on_the_first_new_frame(
    model: MusicLM, text: TextStates, metronome: Metronome, started: list[BeatClock]
) -> None:
    start = torch.zeros(BANDS, 5, dtype=torch.int64)
    generate_codes(model, text, 2, metronome=metronome, prompt_codes=start, bpm=90.0)
    assert float(started[0].at(5).beats[0]) == pytest.approx(0.0)


def test_each_candidate_has_its_own_tempo_and_the_chosen_one_keeps_it(
    make_model: Make, text: TextStates, metronome: Metronome, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(window_frames=8)
    monkeypatch.setattr(generation, "OPENING_FRAMES", 3)
    found = generate_codes(
        model, text, 6, sampling=GUIDED, seed=7, candidates=4, metronome=metronome, bpm="prompt"
    )
    alone = [
        generate_codes(
            model, text, 6, sampling=GUIDED, seed=seed, metronome=metronome, bpm="prompt"
        )
        for seed in candidate_seeds(7, 4)
    ]
    assert any(torch.equal(found, one) for one in alone)
    assert not all(torch.equal(alone[0], one) for one in alone)


def test_clips_side_by_side_keep_their_own_tempos(make_model: Make, metronome: Metronome) -> None:
    model, encoder = make_model(window_frames=8), HashTextEncoder(8)
    prompts, seeds = ["a calm piano", "", "drums"], [3, 4, 5]
    together = generate_batch(
        model,
        encoder.encode(prompts),
        6,
        sampling=GUIDED,
        seeds=seeds,
        metronome=metronome,
        bpm="prompt",
    )
    for clip, prompt, seed in zip(together, prompts, seeds, strict=True):
        alone = generate_codes(
            model,
            encoder.encode([prompt]),
            6,
            sampling=GUIDED,
            seed=seed,
            metronome=metronome,
            bpm="prompt",
        )
        assert torch.equal(clip, alone)


@pytest.mark.parametrize("bpm", [-1.0, 20.0, 300.0, float("nan"), "brisk"])
def test_tempos_out_of_range_are_refused(
    model: MusicLM, metronome: Metronome, bpm: float | str
) -> None:
    with pytest.raises(ConfigError, match="expected 40 to 240"):
        generate_codes(model, None, 4, metronome=metronome, bpm=bpm)


def test_without_a_metronome_a_tempo_is_refused(model: MusicLM, text: TextStates) -> None:
    for bpm in (120.0, "prompt"):
        with pytest.raises(ConfigError, match="no metronome"):
            generate_codes(model, text, 4, bpm=bpm)
    assert torch.equal(generate_codes(model, text, 4, bpm=0), generate_codes(model, text, 4))


def test_shapes_that_do_not_fit_are_refused(metronome: Metronome) -> None:
    with pytest.raises(ConfigError, match="expected \\[1, length, 8\\]"):
        metronome.tempo_scores(HashTextEncoder(9).encode(["fast"]))
    with pytest.raises(ConfigError, match="code_dim=5"):
        metronome.start_from_codebook(torch.zeros(SIZE, 5))
    with pytest.raises(ConfigError, match="num_layers"):
        MetronomeConfig(num_layers=-1)
    with pytest.raises(ConfigError, match="model_dim"):
        MetronomeConfig(model_dim=0)


def test_codes_start_from_the_codebook(metronome: Metronome) -> None:
    codebook = torch.randn(SIZE, 4, generator=torch.Generator().manual_seed(1))
    metronome.start_from_codebook(codebook)
    vectors = metronome.code_vectors.weight
    assert not vectors[-1].any()
    known = vectors[:-1] - vectors[:-1].mean(dim=0)
    ratio = known / (codebook - codebook.mean(dim=0))
    torch.testing.assert_close(ratio, ratio[0, 0].expand_as(ratio))
