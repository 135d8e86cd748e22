"""The listener: codes and texts in one space."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bandtok.api.music_model import MusicModel
from bandtok.errors import CheckpointError, ConfigError, GridError
from bandtok.lm.reranker import Reranker
from bandtok.lm.reranker_config import DEBUG_RERANKER, RerankerConfig
from bandtok.lm.text_embeddings import HashTextEncoder, TextEmbeddings
from bandtok.model_specs import LM_SPEC, RERANKER_SPEC, TOKENIZER_SPEC
from bandtok.tokens.grid import TokenGrid
from bandtok.torch_checkpoint import load_network, save_network


@pytest.fixture
def reranker() -> Reranker:
    torch.manual_seed(0)
    return Reranker(DEBUG_RERANKER).eval()


def _codes(batch: int = 3, frames: int = 7) -> torch.Tensor:
    return torch.randint(0, 64, (batch, 16, frames), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("frames", [1, 2, 7, 30])
@torch.no_grad()
def test_rows_are_heard_alone_at_any_length(reranker: Reranker, frames: int) -> None:
    text = HashTextEncoder(8).encode(["slow piano", "a very long prompt about a harp", ""])
    codes = _codes(frames=frames)
    together = reranker(codes, text)
    assert together.shape == (3,)
    assert (together.abs() <= 1.0001).all()
    single = torch.cat([reranker(codes[[row]], text.rows([row])) for row in range(3)])
    torch.testing.assert_close(together, single)


@torch.no_grad()
def test_bands_are_told_apart(reranker: Reranker) -> None:
    codes = _codes(1)
    assert not torch.allclose(
        reranker.encode_codes(codes), reranker.encode_codes(codes.flip(1)), atol=1e-3
    )


def test_gradients_reach_every_parameter(reranker: Reranker) -> None:
    text = HashTextEncoder(8).encode(["slow piano", "loud brass", "harp"])
    scores = reranker.encode_codes(_codes()) @ reranker.encode_text(text).mT * reranker.scale()
    torch.nn.functional.cross_entropy(scores, torch.arange(3)).backward()
    for name, parameter in reranker.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("shape", [(16, 7), (1, 15, 7), (1, 16, 0)])
def test_other_grids_are_refused(reranker: Reranker, shape: tuple[int, ...]) -> None:
    with pytest.raises(GridError, match=r"expected \[batch, 16, frames\]"):
        reranker.encode_codes(torch.zeros(shape, dtype=torch.int64))


def test_code_vectors_start_from_the_codebook(reranker: Reranker) -> None:
    codebook = torch.randn(64, 4) * 3 + 1
    reranker.start_from_codebook(codebook)
    torch.testing.assert_close(reranker.code_vectors.weight.std(dim=0), torch.ones(4))
    with pytest.raises(ConfigError, match=r"expected \(64, 4\)"):
        reranker.start_from_codebook(torch.zeros(64, 5))


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
        RerankerConfig.from_dict({**DEBUG_RERANKER.to_dict(), **changes})


def test_saved_and_loaded(reranker: Reranker, tmp_path: Path) -> None:
    save_network(reranker, tmp_path, RERANKER_SPEC.name)
    again = load_network(RERANKER_SPEC, tmp_path)
    assert again.config == DEBUG_RERANKER
    torch.testing.assert_close(
        again.encode_codes(_codes()), reranker.encode_codes(_codes()), atol=0.02, rtol=0
    )


def test_a_music_model_listens_with_its_own_listener_or_the_bundled_one(tmp_path: Path) -> None:
    debug = MusicModel.from_pretrained("debug")
    assert debug.reranker is not None
    assert debug.reranker.config == DEBUG_RERANKER
    for kind, network in (
        ("lm", load_network(LM_SPEC, "debug")),
        ("reranker", load_network(RERANKER_SPEC, "debug")),
        ("tokenizer", load_network(TOKENIZER_SPEC, "debug")),
    ):
        save_network(network, tmp_path / kind, kind)
    assert MusicModel.from_pretrained(tmp_path).reranker is not None
    (tmp_path / "reranker" / "config.json").unlink()
    assert (
        MusicModel.from_pretrained(tmp_path).reranker is None
    )  # the bundled one knows other codes
    other = Reranker(replace(DEBUG_RERANKER, tokenizer_fingerprint="abc"))
    save_network(other, tmp_path / "reranker", "reranker")
    with pytest.raises(CheckpointError, match="other codes"):
        MusicModel.from_pretrained(tmp_path)


def test_of_a_continuation_only_what_is_new_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    model = MusicModel.from_pretrained("debug")
    assert model.reranker is not None
    start, seen = model.generate("a harp", 0.4, num_candidates=1).grid, []
    scores = model.reranker.scores

    def noted(codes: np.ndarray, text: TextEmbeddings) -> np.ndarray:
        seen.append(codes)
        return scores(codes, text)

    monkeypatch.setattr(model.reranker, "scores", noted)
    whole = model.generate("a harp", 0.3, num_candidates=3, continue_from=start).grid
    new = whole.num_frames - start.num_frames
    assert [codes.shape for codes in seen] == [(3, 16, new)]
    assert any((whole.codes[:, -new:] == codes).all() for codes in seen[0])


def test_the_opening_that_the_listener_likes_best_is_played_on() -> None:
    model = MusicModel.from_pretrained("debug")
    seeds = [3 + 1_000_003 * number for number in range(4)]
    alone = [model.generate("a harp", 0.5, seed, num_candidates=1).grid for seed in seeds]
    chosen = model.generate("a harp", 0.5, 3, num_candidates=4).grid
    assert model.reranker is not None

    def liking(grid: TokenGrid) -> float:
        text = model.text_encoder.encode(["a harp"])
        assert model.reranker is not None
        return float(model.reranker.scores(grid.codes.astype(np.int64)[None], text)[0])

    best = max(alone, key=liking)
    assert (chosen.codes == best.codes).all()
    assert len({liking(grid) for grid in alone}) > 1
