"""Decoding with a cache, windows, guidance, seeds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from bandtok.errors import ConfigError, GridError
from bandtok.grid import flatten
from bandtok.music_lm import (
    MusicLM,
    SamplingConfig,
    TextStates,
    complete_codes,
    generate_codes,
    pack_for_decoding,
)
from bandtok.music_lm.generation import WindowDecoder
from bandtok.music_lm.text import HashTextEncoder

Make = Callable[..., MusicLM]

GREEDY = SamplingConfig(temperature=0.0)


@pytest.mark.parametrize("chunks", [[1] * 12, [3, 1, 5, 1, 2], [12]])
@pytest.mark.parametrize("rope", ["2d", "1d"])
@torch.no_grad()
def test_cached_decoding_equals_the_full_pass(
    make_model: Make, chunks: list[int], rope: str
) -> None:
    model = make_model(rope=rope)
    text = HashTextEncoder(8).encode(["a calm piano"])
    tokens = torch.randint(0, 11, (1, 13), generator=torch.Generator().manual_seed(2))
    full = model(tokens, text)[0]
    decoder, done = WindowDecoder(model, text), 0
    for chunk in [0, *chunks]:
        if done + chunk > 11:
            break
        logits = decoder.feed(tokens[0, done : done + chunk].tolist())
        done += chunk
        torch.testing.assert_close(logits, full[done], atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_guidance_mixes_both_full_passes(model: MusicLM, text: TextStates) -> None:
    tokens = torch.randint(0, 11, (1, 8))
    decoder = WindowDecoder(model, text, guidance_scale=3.0)
    decoder.feed(tokens[0, :2].tolist())
    logits = decoder.feed(tokens[0, 2:7].tolist())
    conditional, unconditional = model(tokens, text)[0, 7], model(tokens)[0, 7]
    expected = unconditional + 3.0 * (conditional - unconditional)
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)


def test_guidance_one_is_no_guidance_and_runs_one_row(model: MusicLM, text: TextStates) -> None:
    assert WindowDecoder(model, text, 1.0).rows == 1
    assert WindowDecoder(model, None, 5.0).rows == 1
    almost = SamplingConfig(guidance_scale=1.0 + 1e-7)
    plain = generate_codes(model, text, 6, seed=3)
    assert torch.equal(plain, generate_codes(model, text, 6, seed=3, sampling=almost))


def test_same_seed_same_codes(model: MusicLM, text: TextStates) -> None:
    first, again = (generate_codes(model, text, 6, seed=5) for _ in range(2))
    assert torch.equal(first, again)
    assert first.shape == (3, 6)
    assert first.dtype == torch.int64
    assert set(first.unique().tolist()) <= set(range(11))
    assert not torch.equal(first, generate_codes(model, text, 6, seed=6))


def test_packed_model_writes_the_same_codes(make_model: Make, text: TextStates) -> None:
    model = make_model()
    before = generate_codes(model, text, 4, sampling=GREEDY)
    pack_for_decoding(model)
    assert torch.equal(before, generate_codes(model, text, 4, sampling=GREEDY))


def test_greedy_codes_are_the_argmax_of_the_full_pass(model: MusicLM, text: TextStates) -> None:
    codes = generate_codes(model, text, 4, sampling=GREEDY)
    tokens = flatten(codes)[None]
    with torch.no_grad():
        assert torch.equal(model(tokens, text).argmax(dim=-1), tokens)


def test_beyond_the_window_the_last_half_is_seen_again(model: MusicLM, text: TextStates) -> None:
    codes = generate_codes(model, text, 11, sampling=GREEDY)
    for frame, start in ((4, 2), (5, 2), (6, 4), (9, 6), (10, 8)):
        window = flatten(codes[:, start : frame + 1])[None]
        with torch.no_grad():
            expected = model(window, text)[0, -3:].argmax(dim=-1)
        assert torch.equal(codes[:, frame], expected)


@pytest.mark.parametrize("known", [0, 1, 3, 4, 7])
def test_continuing_equals_never_having_stopped(
    model: MusicLM, text: TextStates, known: int
) -> None:
    whole = generate_codes(model, text, 9, sampling=GREEDY)
    prompt = whole[:, :known]
    again = generate_codes(model, text, 9 - known, prompt_codes=prompt, sampling=GREEDY)
    assert torch.equal(again, whole)


def test_completing_keeps_what_was_to_be_kept(model: MusicLM, text: TextStates) -> None:
    codes = generate_codes(model, text, 7, seed=1)
    keep = torch.ones(3, 7, dtype=torch.bool)
    keep[1:, 2:5] = False
    done = complete_codes(model, text, codes, keep, seed=9)
    assert torch.equal(done[keep], codes[keep])
    assert not torch.equal(done, codes)
    assert torch.equal(complete_codes(model, text, codes, torch.ones_like(keep)), codes)


def test_completing_hears_the_kept_codes(model: MusicLM) -> None:
    codes = generate_codes(model, None, 4, seed=1)
    keep = torch.ones(3, 4, dtype=torch.bool)
    keep[2, 1] = False
    done = complete_codes(model, None, codes, keep, sampling=GREEDY)
    with torch.no_grad():
        expected = model(flatten(codes)[None])[0, 5].argmax()
    assert done[2, 1] == expected


def test_frames_are_reported_as_they_are_done(model: MusicLM) -> None:
    seen: list[tuple[int, int, list[int]]] = []
    codes = generate_codes(
        model,
        None,
        3,
        on_frame=lambda done, total, column: seen.append((done, total, column.tolist())),
    )
    assert seen == [(n + 1, 3, codes[:, n].tolist()) for n in range(3)]


def test_training_mode_is_left_as_it_was(model: MusicLM) -> None:
    model.train()
    generate_codes(model, None, 1)
    assert model.training


def test_unfit_prompts_are_refused(model: MusicLM) -> None:
    for codes in (torch.zeros(2, 4, dtype=torch.int64), torch.full((3, 4), 11), torch.zeros(3, 4)):
        with pytest.raises(GridError):
            generate_codes(model, None, 1, prompt_codes=codes)
    with pytest.raises(GridError, match="0 or more"):
        generate_codes(model, None, -1)
    with pytest.raises(ConfigError, match="expected 1"):
        generate_codes(model, HashTextEncoder(8).encode(["a", "b"]), 1)


def test_nothing_to_write(model: MusicLM) -> None:
    assert generate_codes(model, None, 0).shape == (3, 0)
