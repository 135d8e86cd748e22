"""Codes of a loop: what is written again, and with what before and after it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bandtok.backends.torch_lm import TorchLanguageModel
from bandtok.lm import loops
from bandtok.lm.inpainting import InpaintRequest
from bandtok.lm.loops import close_loop
from bandtok.lm.model import MusicLM
from bandtok.lm.text_embeddings import TextEmbeddings


@pytest.fixture
def network(make_model: Callable[..., MusicLM]) -> TorchLanguageModel:
    return TorchLanguageModel(make_model(beat_conditioning=True, window_frames=12, frame_rate=4.0))


def codes(frames: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 11, (3, frames))


def test_the_seam_alone_is_written_again(network: TorchLanguageModel, text: TextEmbeddings) -> None:
    before = codes(16)
    after = close_loop(network, before, 120.0, text=text, seed=1)  # a beat is two frames
    assert np.array_equal(after[:, 1:13], before[:, 1:13])
    assert (after[:, :1] != before[:, :1]).any() or (after[:, 13:] != before[:, 13:]).any()
    assert np.array_equal(after, close_loop(network, before, 120.0, text=text, seed=1))
    assert not np.array_equal(after, close_loop(network, before, 120.0, text=text, seed=2))


def test_the_seam_lies_between_the_end_and_the_beginning_on_the_beat(
    network: TorchLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[InpaintRequest] = []

    def keep_request(model: object, request: InpaintRequest) -> np.ndarray:
        requests.append(request)
        return np.full_like(request.codes, 7)

    monkeypatch.setattr(loops, "inpaint_codes", keep_request)
    before = codes(16)
    after = close_loop(network, before, 120.0)
    (request,) = requests
    assert np.array_equal(request.codes, np.concatenate((before[:, -6:], before[:, :6]), axis=1))
    assert request.keep.all(axis=0).tolist() == [True] * 3 + [False] * 4 + [True] * 5
    assert request.beat is not None
    beats = float(request.beat.beats[0] + 6 * request.beat.beats_per_frame[0])
    assert beats == pytest.approx(0), "a beat at the beginning"
    assert (after[:, -3:] == 7).all()
    assert (after[:, :1] == 7).all()


@pytest.mark.parametrize("frames", [2, 3])
def test_short_loops(network: TorchLanguageModel, frames: int) -> None:
    assert close_loop(network, codes(frames), 240.0).shape == (3, frames)
