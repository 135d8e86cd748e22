"""The beat beat_grid: what positions hear of it, and the tempos that texts suggest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from tests.lm.running import generate_batch, generate_codes, scores, window_decoder

from bandtok.errors import ConfigError
from bandtok.lm import generate as generation
from bandtok.lm.beat import TEMPO_BINS, BeatGrid, bin_tempo, sample_tempo, tempo_bin
from bandtok.lm.conditioning import BeatEmbedding
from bandtok.lm.decoding import WindowDecoder, guidance_branches
from bandtok.lm.generate import candidate_seeds
from bandtok.lm.model import MusicLM
from bandtok.lm.sampling import SamplingConfig
from bandtok.lm.text_embeddings import HashTextEncoder, TextEmbeddings

Make = Callable[..., MusicLM]

GUIDED = SamplingConfig(guidance_scale=2.0)
TOKENS = torch.randint(0, 11, (2, 12), generator=torch.Generator().manual_seed(2))


@pytest.fixture
def model(make_model: Make) -> MusicLM:
    return make_model(beat_conditioning=True)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[BeatGrid | None]:
    """Clocks that decoders are started with; None where no row has a beat."""
    seen: list[BeatGrid | None] = []
    begin = WindowDecoder.__init__

    def noted(decoder: WindowDecoder, *arguments: object) -> None:
        beat_grid = arguments[3]
        assert beat_grid is None or isinstance(beat_grid, BeatGrid)
        seen.append(None if beat_grid is None or beat_grid.is_empty else beat_grid)
        begin(decoder, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(WindowDecoder, "__init__", noted)
    return seen


def _beats(*rows: tuple[float, float]) -> BeatGrid:
    steps, beats = zip(*rows, strict=True)
    return BeatGrid(beats_per_frame=np.array(steps), beats=np.array(beats))


def _prefer(model: MusicLM, bpm: float) -> None:
    """Let every text suggest one tempo."""
    assert model.tempo is not None
    head = model.tempo.outer
    with torch.no_grad():
        head.weight.zero_()
        head.bias.zero_()
        head.bias[tempo_bin(bpm)] = 50.0


@torch.no_grad()
def test_frames_at_the_same_place_of_the_beat_hear_the_same() -> None:
    embedded = BeatEmbedding(6)(_beats((0.25, 0.0), (0.25, 0.5)).features(8))
    assert embedded.shape == (2, 8, 6)
    torch.testing.assert_close(embedded[0, 0], embedded[0, 4])
    torch.testing.assert_close(embedded[0, 2], embedded[1, 0])
    assert not torch.allclose(embedded[0, 0], embedded[0, 1], atol=1e-4)


@torch.no_grad()
def test_the_tempo_itself_is_heard_and_no_beat_adds_nothing() -> None:
    embedded = BeatEmbedding(6)(_beats((0.25, 0.0), (0.5, 0.0), (0.0, 0.3)).features(3))
    assert not torch.allclose(embedded[0, 0], embedded[1, 0], atol=1e-4)
    assert not embedded[2].any()


@torch.no_grad()
def test_a_beat_grid_moved_on_is_the_later_part_of_it() -> None:
    beat_grid, layer = _beats((0.31, 0.7)), BeatEmbedding(6)
    torch.testing.assert_close(
        layer(beat_grid.at(5).features(4)), layer(beat_grid.features(9))[:, 5:], atol=1e-5, rtol=0
    )


@torch.no_grad()
def test_hours_into_a_piece_the_beat_is_still_exact() -> None:
    layer, frames = BeatEmbedding(6), 40_000
    beat_grid = BeatGrid.of_tempos([120.0], 10.0)  # five frames a beat
    torch.testing.assert_close(
        layer(beat_grid.at(frames).features(5)), layer(beat_grid.features(5)), atol=1e-4, rtol=0
    )


def test_tempos_and_their_bins() -> None:
    assert [tempo_bin(bin_tempo(index)) for index in range(TEMPO_BINS + 1)] == list(
        range(TEMPO_BINS + 1)
    )
    assert (tempo_bin(1.0), tempo_bin(999.0)) == (0, TEMPO_BINS - 1)
    assert bin_tempo(tempo_bin(120.0)) == pytest.approx(120.0, rel=0.02)


def test_tempos_are_drawn_by_their_scores() -> None:
    logits = np.full(TEMPO_BINS + 1, -50.0)
    logits[tempo_bin(120.0)] = logits[TEMPO_BINS] = 0.0
    rng = np.random.default_rng(1)
    sampled = {sample_tempo(logits, rng) for _ in range(40)}
    assert sampled == {0.0, bin_tempo(tempo_bin(120.0))}


@torch.no_grad()
def test_the_beat_affects_its_row_alone_from_the_first_code_on(model: MusicLM) -> None:
    plain, with_beat = model(TOKENS), model(TOKENS, beat_grid=_beats((0.0, 0.0), (0.3, 0.2)))
    torch.testing.assert_close(with_beat[0], plain[0])
    assert not torch.allclose(with_beat[1, 0], plain[1, 0], atol=1e-3)


@pytest.mark.parametrize("known", [0, 5])
@pytest.mark.parametrize("spoken", [True, False])
@pytest.mark.parametrize(
    ("text_scale", "beat_guidance_scale"), [(3.0, 2.0), (3.0, 3.0), (1.0, 1.0)]
)
@torch.no_grad()
def test_cached_decoding_with_a_beat_equals_the_full_passes(
    model: MusicLM,
    text: TextEmbeddings,
    known: int,
    spoken: bool,
    text_scale: float,
    beat_guidance_scale: float,
) -> None:
    beat_grid, order = _beats((0.3, 0.2), (0.2, 0.0)), torch.arange(12)
    words = text.rows([0, 0]) if spoken else None
    decoder = window_decoder(model, words, 2, (text_scale, beat_guidance_scale), beat_grid)
    found = scores(decoder, order, TOKENS, known, first_frame=7)
    beating = model(TOKENS, words, beat_grid=beat_grid.at(7))[:, known:]
    embedded, silent = (model(TOKENS, one)[:, known:] for one in (words, None))
    expected = (
        silent + text_scale * (embedded - silent) + beat_guidance_scale * (beating - embedded)
    )
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    ("has_text", "has_beat", "scales", "expected"),
    [
        (False, False, (6.0, 4.0), "-"),
        (True, False, (6.0, 4.0), "t -"),
        (True, False, (1.0, 4.0), "t"),
        (False, True, (6.0, 4.0), "c -"),
        (False, True, (6.0, 1.0), "c"),
        (True, True, (6.0, 4.0), "tc t -"),
        (True, True, (6.0, 0.0), "t -"),
        (True, True, (6.0, 6.0), "tc -"),
        (True, True, (1.0, 3.0), "tc t"),
        (True, True, (0.0, 0.0), "-"),
    ],
)
def test_only_those_who_count_are_asked(
    has_text: bool, has_beat: bool, scales: tuple[float, float], expected: str
) -> None:
    found = guidance_branches(has_text, has_beat, *scales)
    names = ["t" * voice.use_text + "c" * voice.use_beat or "-" for voice in found]
    assert " ".join(names) == expected
    assert sum(voice.weight for voice in found) == pytest.approx(1.0)


def test_the_beat_goes_on_from_window_to_window(
    model: MusicLM, text: TextEmbeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, features = [], BeatGrid.features

    def noted(own: BeatGrid, num_frames: int) -> np.ndarray:
        frames.append(float(own.beats[0] / own.beats_per_frame[0]))
        return features(own, num_frames)

    monkeypatch.setattr(BeatGrid, "features", noted)
    generate_codes(model, text, 11, bpm=130.0)
    assert frames == pytest.approx([0, 2, 4, 6, 8])  # where windows of 4 frames begin


def test_a_text_suggests_the_tempo(
    model: MusicLM, text: TextEmbeddings, started: list[BeatGrid | None]
) -> None:
    _prefer(model, 100.0)
    for bpm in (None, 130.0, 0):
        generate_codes(model, text, 2, bpm=bpm)
    sampled, found, silent = started
    assert sampled is not None
    assert found is not None
    rate = 60.0 * model.config.frame_rate
    assert float(sampled.beats_per_frame[0] * rate) == pytest.approx(bin_tempo(tempo_bin(100.0)))
    assert float(found.beats_per_frame[0] * rate) == pytest.approx(130.0)
    assert silent is None


def test_without_text_and_after_known_music_no_tempo_is_drawn(
    model: MusicLM, text: TextEmbeddings, started: list[BeatGrid | None]
) -> None:
    _prefer(model, 100.0)
    generate_codes(model, None, 2)
    generate_codes(model, text, 2, prompt_codes=torch.zeros(3, 3, dtype=torch.int64))
    assert started == [None, None]


def test_a_first_beat_falls_on_the_first_new_frame(
    model: MusicLM, text: TextEmbeddings, started: list[BeatGrid | None]
) -> None:
    start = torch.zeros(3, 5, dtype=torch.int64)
    generate_codes(model, text, 2, prompt_codes=start, bpm=90.0)
    assert started[0] is not None
    assert float(started[0].at(5).beats[0]) == pytest.approx(0.0)


def test_each_candidate_has_its_own_tempo_and_the_chosen_one_keeps_it(
    make_model: Make, text: TextEmbeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(beat_conditioning=True, window_frames=8)
    monkeypatch.setattr(generation, "CANDIDATE_PREFIX_FRAMES", 3)
    found = generate_codes(model, text, 6, sampling=GUIDED, seed=7, num_candidates=4)
    alone = [
        generate_codes(model, text, 6, sampling=GUIDED, seed=seed) for seed in candidate_seeds(7, 4)
    ]
    assert any(torch.equal(found, one) for one in alone)
    assert not all(torch.equal(alone[0], one) for one in alone)


def test_clips_side_by_side_keep_their_own_tempos(make_model: Make) -> None:
    model, encoder = make_model(beat_conditioning=True, window_frames=8), HashTextEncoder(8)
    prompts, seeds = ["a calm piano", "", "drums"], [3, 4, 5]
    together = generate_batch(model, encoder.encode(prompts), 6, sampling=GUIDED, seeds=seeds)
    for clip, prompt, seed in zip(together, prompts, seeds, strict=True):
        alone = generate_codes(model, encoder.encode([prompt]), 6, sampling=GUIDED, seed=seed)
        assert torch.equal(clip, alone)


@pytest.mark.parametrize("bpm", [-1.0, 20.0, 300.0, float("nan")])
def test_tempos_out_of_range_are_refused(model: MusicLM, bpm: float) -> None:
    with pytest.raises(ConfigError, match="expected 40 to 240"):
        generate_codes(model, None, 4, bpm=bpm)


def test_a_model_without_a_beat_refuses_one(make_model: Make, text: TextEmbeddings) -> None:
    model = make_model()
    with pytest.raises(ConfigError, match="learned no beat"):
        generate_codes(model, text, 4, bpm=120.0)
    with pytest.raises(ConfigError, match="learned none"):
        model(TOKENS, beat_grid=_beats((0.3, 0.0), (0.3, 0.0)))
    with pytest.raises(ConfigError, match="no tempos"):
        model.tempo_scores(text)
    assert torch.equal(generate_codes(model, text, 4, bpm=0), generate_codes(model, text, 4))


def test_beat_grids_of_another_number_are_refused(model: MusicLM) -> None:
    with pytest.raises(ConfigError, match="got 1 beat grids; expected 2"):
        model(TOKENS, beat_grid=_beats((0.3, 0.0)))


def test_learning_tempos_leaves_what_the_music_hears_of_the_text(
    model: MusicLM, text: TextEmbeddings
) -> None:
    model.tempo_scores(text).square().mean().backward()
    assert all(parameter.grad is None for parameter in model.condition.parameters())


def test_gradients_reach_beat_and_tempo(model: MusicLM, text: TextEmbeddings) -> None:
    model(TOKENS, beat_grid=_beats((0.3, 0.0), (0.2, 0.1))).square().mean().backward()
    model.tempo_scores(text).square().mean().backward()
    assert model.beat_embedding is not None
    assert model.tempo is not None
    for layer in (model.beat_embedding.inner, model.beat_embedding.outer, model.tempo.outer):
        assert layer.weight.grad is not None
        assert layer.weight.grad.abs().sum() > 0
