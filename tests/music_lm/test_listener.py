"""The listener: codes and texts in one space."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bandtok.checkpoint import load_network, save_network
from bandtok.errors import CheckpointError, ConfigError, GridError
from bandtok.grid import TokenGrid
from bandtok.music_lm.listener import DEBUG_LISTENER, Listener, ListenerConfig
from bandtok.music_lm.text import HashTextEncoder
from bandtok.networks import LISTENER_KIND
from bandtok.pipeline import MusicModel


@pytest.fixture
def listener() -> Listener:
    torch.manual_seed(0)
    return Listener(DEBUG_LISTENER).eval()


def _codes(batch: int = 3, frames: int = 7) -> torch.Tensor:
    return torch.randint(0, 64, (batch, 16, frames), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("frames", [1, 2, 7, 30])
@torch.no_grad()
def test_rows_are_heard_alone_at_any_length(listener: Listener, frames: int) -> None:
    text = HashTextEncoder(8).encode(["slow piano", "a very long prompt about a harp", ""])
    codes = _codes(frames=frames)
    together = listener(codes, text)
    assert together.shape == (3,)
    assert (together.abs() <= 1.0001).all()
    single = torch.cat([listener(codes[[row]], text.rows([row])) for row in range(3)])
    torch.testing.assert_close(together, single)


@torch.no_grad()
def test_bands_are_told_apart(listener: Listener) -> None:
    codes = _codes(1)
    assert not torch.allclose(listener.hear(codes), listener.hear(codes.flip(1)), atol=1e-3)


def test_gradients_reach_every_parameter(listener: Listener) -> None:
    text = HashTextEncoder(8).encode(["slow piano", "loud brass", "harp"])
    scores = listener.hear(_codes()) @ listener.understand(text).mT * listener.scale()
    torch.nn.functional.cross_entropy(scores, torch.arange(3)).backward()
    for name, parameter in listener.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("shape", [(16, 7), (1, 15, 7), (1, 16, 0)])
def test_other_grids_are_refused(listener: Listener, shape: tuple[int, ...]) -> None:
    with pytest.raises(GridError, match=r"expected \[batch, 16, frames\]"):
        listener.hear(torch.zeros(shape, dtype=torch.int64))


def test_code_vectors_start_from_the_codebook(listener: Listener) -> None:
    codebook = torch.randn(64, 4) * 3 + 1
    listener.start_from_codebook(codebook)
    torch.testing.assert_close(listener.code_vectors.weight.std(dim=0), torch.ones(4))
    with pytest.raises(ConfigError, match=r"expected \(64, 4\)"):
        listener.start_from_codebook(torch.zeros(64, 5))


@pytest.mark.parametrize(
    "changes",
    [
        {"num_bands": 12},
        {"model_dim": 12},
        {"text_queries": -1},
        {"dilations": (0,)},
        {"match_dim": 0},
    ],
)
def test_settings_out_of_range_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(changes))):
        ListenerConfig.from_dict({**DEBUG_LISTENER.to_dict(), **changes})


def test_saved_and_loaded(listener: Listener, tmp_path: Path) -> None:
    save_network(listener, tmp_path, LISTENER_KIND.name)
    again = load_network(LISTENER_KIND, tmp_path)
    assert again.config == DEBUG_LISTENER
    torch.testing.assert_close(again.hear(_codes()), listener.hear(_codes()), atol=0.02, rtol=0)


def test_a_music_model_listens_with_its_own_listener_or_the_bundled_one(tmp_path: Path) -> None:
    debug = MusicModel.from_pretrained("debug")
    assert debug.listener is not None
    assert debug.listener.config == DEBUG_LISTENER
    for kind, network in (
        ("music_lm", debug.network),
        ("listener", debug.listener),
        ("tokenizer", debug.tokenizer.codec.network),
    ):
        save_network(network, tmp_path / kind, kind)
    assert MusicModel.from_pretrained(tmp_path).listener is not None
    (tmp_path / "listener" / "config.json").unlink()
    assert (
        MusicModel.from_pretrained(tmp_path).listener is None
    )  # the bundled one knows other codes
    other = Listener(replace(DEBUG_LISTENER, tokenizer_fingerprint="abc"))
    save_network(other, tmp_path / "listener", "listener")
    with pytest.raises(CheckpointError, match="other codes"):
        MusicModel.from_pretrained(tmp_path)


def test_of_a_continuation_only_what_is_new_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    model = MusicModel.from_pretrained("debug")
    assert model.listener is not None
    start, heard = model.generate("a harp", 0.4, candidates=1).grid, []
    hear = model.listener.hear

    def hearing(codes: torch.Tensor) -> torch.Tensor:
        heard.append(codes)
        return hear(codes)

    monkeypatch.setattr(model.listener, "hear", hearing)
    whole = model.generate("a harp", 0.3, candidates=3, continue_from=start).grid
    new = whole.num_frames - start.num_frames
    assert [codes.shape for codes in heard] == [(3, 16, new)]
    assert any((whole.codes[:, -new:] == codes.numpy()).all() for codes in heard[0])


def test_the_opening_that_the_listener_likes_best_is_played_on() -> None:
    model = MusicModel.from_pretrained("debug")
    seeds = [3 + 1_000_003 * number for number in range(4)]
    alone = [model.generate("a harp", 0.5, seed, candidates=1).grid for seed in seeds]
    chosen = model.generate("a harp", 0.5, 3, candidates=4).grid
    assert model.listener is not None

    def liking(grid: TokenGrid) -> float:
        text = model.text_encoder.encode(["a harp"])
        assert model.listener is not None
        with torch.no_grad():
            return float(model.listener(torch.from_numpy(grid.codes).long()[None], text))

    best = max(alone, key=liking)
    assert (chosen.codes == best.codes).all()
    assert len({liking(grid) for grid in alone}) > 1
