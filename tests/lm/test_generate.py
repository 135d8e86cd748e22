"""Decoding with a cache, windows, editing, guidance, seeds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from tests.lm.running import (
    TorchLanguageModel,
    code_request,
    generate_batch,
    generate_codes,
    inpaint_codes,
    scores,
    window_decoder,
)

from bandtok.errors import ConfigError, GridError
from bandtok.lm import generate as generation
from bandtok.lm.generate import candidate_seeds, stream_codes
from bandtok.lm.inpainting import InpaintRequest, stream_inpainted
from bandtok.lm.model import MusicLM
from bandtok.lm.sampling import SamplingConfig
from bandtok.lm.text_embeddings import HashTextEncoder, TextEmbeddings
from bandtok.lm.token_order import flatten, infill_order, token_order
from bandtok.lm.windows import plan_windows

Make = Callable[..., MusicLM]

GREEDY = SamplingConfig(temperature=0.0)
GUIDED = SamplingConfig(guidance_scale=2.0)
GAP = torch.from_numpy(infill_order(np.array([[True, False, False, True]] * 3)))
DELAY = torch.from_numpy(token_order("delay", 3, 4))


def _tokens(clips: int = 1, length: int = 12) -> torch.Tensor:
    return torch.randint(0, 11, (clips, length), generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("known", [0, 1, 6, 11])
@pytest.mark.parametrize(
    "order",
    [torch.arange(12), GAP, DELAY],
    ids=["raster", "gap", "delay"],
)
@pytest.mark.parametrize("rope", ["2d", "1d"])
@pytest.mark.parametrize("share", [True, False], ids=["one codebook", "codes of each row"])
@torch.no_grad()
def test_cached_decoding_equals_the_full_pass(
    make_model: Make, known: int, order: torch.Tensor, rope: str, share: bool, text: TextEmbeddings
) -> None:
    model, tokens = make_model(rope=rope, rows_share_codes=share), _tokens()
    found = scores(window_decoder(model, text), order, tokens, known)
    full = model(tokens, text, order[None])
    torch.testing.assert_close(found, full[:, known:], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_second_window_knows_nothing_of_the_first(model: MusicLM, text: TextEmbeddings) -> None:
    decoder, tokens = window_decoder(model, text), _tokens()
    scores(decoder, torch.arange(12), tokens.flip(1), 0)
    found = scores(decoder, GAP, tokens, 4)
    torch.testing.assert_close(found, model(tokens, text, GAP[None])[:, 4:], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_guidance_mixes_both_full_passes(model: MusicLM) -> None:
    tokens = _tokens(2)
    text = HashTextEncoder(8).encode(["a calm piano", "drums"])
    found = scores(window_decoder(model, text, 2, (3.0, 1.0)), torch.arange(12), tokens, 2)
    conditional, unconditional = model(tokens, text)[:, 2:], model(tokens)[:, 2:]
    expected = unconditional + 3.0 * (conditional - unconditional)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


def test_guidance_one_is_no_guidance_and_runs_one_row(model: MusicLM, text: TextEmbeddings) -> None:
    assert len(window_decoder(model, text).branches) == 1
    assert len(window_decoder(model, None, scales=(5.0, 1.0)).branches) == 1
    almost = SamplingConfig(guidance_scale=1.0 + 1e-7)
    plain = generate_codes(model, text, 6, seed=3)
    assert torch.equal(plain, generate_codes(model, text, 6, seed=3, sampling=almost))


def test_same_seed_same_codes(model: MusicLM, text: TextEmbeddings) -> None:
    first, again = (generate_codes(model, text, 6, seed=5) for _ in range(2))
    assert torch.equal(first, again)
    assert first.shape == (3, 6)
    assert first.dtype == torch.int64
    assert set(first.unique().tolist()) <= set(range(11))
    assert not torch.equal(first, generate_codes(model, text, 6, seed=6))


def test_clips_written_side_by_side_are_those_written_alone(model: MusicLM) -> None:
    prompts, seeds = ["calm piano", "", "fast drums", "calm piano"], [3, 4, 5, 6]
    text = HashTextEncoder(8).encode(prompts)
    sampling = SamplingConfig(guidance_scale=2.0)
    together = generate_batch(model, text, 6, seeds=seeds, sampling=sampling)
    assert together.shape == (4, 3, 6)
    for clip, prompt, seed in zip(together, prompts, seeds, strict=True):
        alone = HashTextEncoder(8).encode([prompt])
        # Sums may round differently in a batch; in so short a clip no draw falls in between.
        assert torch.equal(clip, generate_codes(model, alone, 6, seed=seed, sampling=sampling))


@torch.no_grad()
def _text_gain(model: MusicLM, codes: torch.Tensor, text: TextEmbeddings) -> float:
    """Return by how many nats text makes codes [bands, frames] likelier, from full passes."""
    tokens = flatten(codes)[None]
    with_text, without = (
        torch.log_softmax(model(tokens, states)[0], dim=1).gather(1, tokens[0, :, None]).sum()
        for states in (text, None)
    )
    return float(with_text - without)


def test_of_candidates_the_one_that_text_makes_likeliest_by_most_is_played_on(
    make_model: Make, text: TextEmbeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(window_frames=8)
    monkeypatch.setattr(generation, "CANDIDATE_PREFIX_FRAMES", 3)
    alone = {
        seed: generate_codes(model, text, 6, sampling=GUIDED, seed=seed)
        for seed in candidate_seeds(7, 4)
    }
    gains = {seed: _text_gain(model, codes[:, :3], text) for seed, codes in alone.items()}
    best = max(gains, key=lambda seed: gains[seed])
    assert best != 7, "the test is idle if the first candidate wins"
    found = generate_codes(model, text, 6, sampling=GUIDED, seed=7, num_candidates=4)
    assert torch.equal(found, alone[best])


def test_candidates_of_clips_side_by_side_are_those_of_clips_alone(make_model: Make) -> None:
    model, encoder = make_model(window_frames=8), HashTextEncoder(8)
    prompts, seeds = ["a calm piano", "", "drums"], [3, 4, 5]
    together = generate_batch(
        model, encoder.encode(prompts), 6, sampling=GUIDED, seeds=seeds, num_candidates=5
    )
    for clip, prompt, seed in zip(together, prompts, seeds, strict=True):
        states = encoder.encode([prompt])
        alone = generate_codes(model, states, 6, sampling=GUIDED, seed=seed, num_candidates=5)
        assert torch.equal(clip, alone)


def test_candidates_continue_a_prompt_of_codes(model: MusicLM, text: TextEmbeddings) -> None:
    start = generate_codes(model, None, 3, seed=1)
    found = generate_codes(
        model, text, 4, prompt_codes=start, sampling=GUIDED, seed=2, num_candidates=3
    )
    assert torch.equal(found[:, :3], start)
    alone = [
        generate_codes(model, text, 4, prompt_codes=start, sampling=GUIDED, seed=seed)
        for seed in candidate_seeds(2, 3)
    ]
    assert any(torch.equal(found, one) for one in alone)


def test_without_text_there_is_nothing_to_choose_by(model: MusicLM) -> None:
    found = generate_codes(model, None, 5, sampling=GUIDED, seed=2, num_candidates=4)
    assert torch.equal(found, generate_codes(model, None, 5, sampling=GUIDED, seed=2))


def test_no_candidates_at_all_are_refused(model: MusicLM, text: TextEmbeddings) -> None:
    with pytest.raises(ConfigError, match="got num_candidates 0"):
        generate_codes(model, text, 4, num_candidates=0)


def test_greedy_codes_are_the_argmax_of_the_full_pass(model: MusicLM, text: TextEmbeddings) -> None:
    codes = generate_codes(model, text, 4, sampling=GREEDY)
    tokens = flatten(codes)[None]
    with torch.no_grad():
        assert torch.equal(model(tokens, text).argmax(dim=-1), tokens)


def test_beyond_the_window_the_last_half_is_seen_again(
    model: MusicLM, text: TextEmbeddings
) -> None:
    codes = generate_codes(model, text, 11, sampling=GREEDY)
    for frame, start in ((4, 2), (5, 2), (6, 4), (9, 6), (10, 8)):
        window = flatten(codes[:, start : frame + 1])[None]
        with torch.no_grad():
            expected = model(window, text)[0, -3:].argmax(dim=-1)
        assert torch.equal(codes[:, frame], expected)


@pytest.mark.parametrize("known", [0, 1, 3, 4, 7])
def test_continuing_equals_never_having_stopped(
    model: MusicLM, text: TextEmbeddings, known: int
) -> None:
    whole = generate_codes(model, text, 9, sampling=GREEDY)
    prompt = whole[:, :known]
    again = generate_codes(model, text, 9 - known, prompt_codes=prompt, sampling=GREEDY)
    assert torch.equal(again, whole)


def test_delayed_codes_are_the_argmax_of_the_full_pass_in_that_order(
    make_model: Make, text: TextEmbeddings
) -> None:
    model = make_model(order="delay")
    codes = generate_codes(model, text, 9, sampling=GREEDY)
    for start, last in ((0, 4), (2, 6), (4, 8), (6, 9)):  # windows of 4, half of each new
        order = torch.from_numpy(token_order("delay", 3, last - start))
        tokens = flatten(codes[:, start:last])[order][None]
        with torch.no_grad():
            best = model(tokens, text, order[None]).argmax(dim=-1)[0]
        new = order // 3 >= (2 if start else 0)
        assert torch.equal(best[new], tokens[0][new])


@pytest.mark.parametrize("known", [1, 3, 4, 7])
def test_continuing_in_delay_order_equals_never_having_stopped(
    make_model: Make, text: TextEmbeddings, known: int
) -> None:
    model = make_model(order="delay")
    whole = generate_codes(model, text, 9, sampling=GREEDY)
    again = generate_codes(model, text, 9 - known, prompt_codes=whole[:, :known], sampling=GREEDY)
    assert torch.equal(again, whole)


def test_an_edit_with_a_delay_model_reads_what_is_known_first(make_model: Make) -> None:
    model = make_model(order="delay")
    codes = generate_codes(model, None, 4, seed=1)
    keep = torch.ones(3, 4, dtype=torch.bool)
    keep[:, 1:3] = False
    done = inpaint_codes(model, None, codes, keep, sampling=GREEDY)
    order = torch.from_numpy(infill_order(keep.numpy()))
    tokens = flatten(done)[order][None]
    with torch.no_grad():
        expected = model(tokens, None, order[None]).argmax(dim=-1)
    assert torch.equal(tokens[0, 6:], expected[0, 6:])
    assert torch.equal(done[keep], codes[keep])


def _unknown(frames: int, *spans: tuple[int, int]) -> torch.Tensor:
    unknown = torch.zeros(2, frames, dtype=torch.bool)
    for first, last in spans:
        unknown[:, first:last] = True
    return unknown


@pytest.mark.parametrize(
    ("unknown", "plans"),
    [
        (_unknown(8, (0, 8)), [(0, 0, 8)]),
        (_unknown(14, (0, 14)), [(0, 0, 8), (4, 8, 12), (8, 12, 14)]),
        (_unknown(14, (5, 14)), [(0, 5, 8), (4, 8, 12), (8, 12, 14)]),
        (_unknown(20, (9, 11)), [(6, 9, 11)]),
        (_unknown(20, (1, 3)), [(0, 1, 3)]),
        (_unknown(20, (17, 19)), [(12, 17, 19)]),
        (_unknown(6, (1, 2), (4, 5)), [(0, 1, 2), (0, 4, 5)]),
        (_unknown(20, (4, 14)), [(2, 4, 8), (6, 8, 12), (9, 12, 14)]),
        (_unknown(9), []),
    ],
)
def test_windows_spelled_out(unknown: torch.Tensor, plans: list[tuple[int, int, int]]) -> None:
    found = [(plan.start, plan.first, plan.last) for plan in plan_windows(unknown.numpy(), 8)]
    assert found == plans


@pytest.mark.parametrize("window", [2, 5, 8])
def test_every_unknown_cell_is_written_once_inside_its_window(window: int) -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(100):
        frames = int(torch.randint(1, 40, (1,), generator=generator))
        unknown = torch.rand(3, frames, generator=generator) < 0.4
        unknown[:, torch.rand(frames, generator=generator) < 0.5] = False
        written = torch.zeros(frames, dtype=torch.int64)
        for plan in plan_windows(unknown.numpy(), window):
            assert 0 <= plan.start <= plan.first < plan.last <= plan.start + window
            written[plan.first : plan.last] += 1
        assert written.max() <= 1
        assert written[unknown.any(dim=0)].eq(1).all()


def test_completing_keeps_what_was_to_be_kept(model: MusicLM, text: TextEmbeddings) -> None:
    codes = generate_codes(model, text, 11, seed=1)
    keep = torch.ones(3, 11, dtype=torch.bool)
    keep[1:, 2:9] = False
    done = inpaint_codes(model, text, codes, keep, seed=9)
    assert torch.equal(done[keep], codes[keep])
    assert not torch.equal(done, codes)
    assert torch.equal(inpaint_codes(model, text, codes, torch.ones_like(keep)), codes)


def test_completing_hears_both_sides_and_other_bands(model: MusicLM) -> None:
    codes = generate_codes(model, None, 4, seed=1)
    keep = torch.ones(3, 4, dtype=torch.bool)
    keep[2, 1] = keep[0, 2] = False
    done = inpaint_codes(model, None, codes, keep, sampling=GREEDY)
    order = torch.from_numpy(infill_order(keep.numpy()))
    tokens = flatten(done)[order][None]
    with torch.no_grad():
        expected = model(tokens, None, order[None]).argmax(dim=-1)
    assert torch.equal(tokens[0, -2:], expected[0, -2:])


def test_columns_are_handed_out_as_soon_as_they_are_final(model: MusicLM) -> None:
    codes, written = generate_codes(model, None, 6), []
    for column in stream_codes(TorchLanguageModel(model), code_request(None, 6)):
        written.append(torch.from_numpy(column[0]))
        if len(written) == 3:
            break
    assert torch.equal(torch.stack(written, dim=1), codes[:, :3])


def test_columns_of_an_edit_come_once_and_in_order(model: MusicLM) -> None:
    codes = generate_codes(model, None, 9, seed=1)
    keep = torch.ones(3, 9, dtype=torch.bool)
    keep[1, 2:4] = keep[:, 7] = False
    request = InpaintRequest(codes=codes.numpy(), keep=keep.numpy())
    columns = list(stream_inpainted(TorchLanguageModel(model), request))
    assert len(columns) == 9
    for frame in (0, 1, 4, 5, 6, 8):
        assert columns[frame].tolist() == codes[:, frame].tolist()


def test_unfit_prompts_are_refused(model: MusicLM) -> None:
    for codes in (torch.zeros(2, 4, dtype=torch.int64), torch.full((3, 4), 11), torch.zeros(3, 4)):
        with pytest.raises(GridError):
            generate_codes(model, None, 1, prompt_codes=codes)
    with pytest.raises(GridError, match="0 or more"):
        generate_codes(model, None, -1)
    with pytest.raises(ConfigError, match="expected 1"):
        generate_codes(model, HashTextEncoder(8).encode(["a", "b"]), 1)
    with pytest.raises(ConfigError, match="no seed"):
        generate_batch(model, None, 1, seeds=[])
    with pytest.raises(GridError, match="like codes"):
        inpaint_codes(model, None, torch.zeros(3, 4, dtype=torch.int64), torch.ones(3, 5) > 0)


def test_nothing_to_write(model: MusicLM) -> None:
    assert generate_codes(model, None, 0).shape == (3, 0)
