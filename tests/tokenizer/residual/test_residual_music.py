"""The same language model learns, writes and edits residual tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bandtok
from bandtok.data.tokenize import tokenize_corpus
from bandtok.errors import GridError
from bandtok.model_specs import RESIDUAL_SPEC
from bandtok.torch_checkpoint import debug_network, save_network
from bandtok.training.run import train


@pytest.mark.parametrize(
    ("rope", "order", "share"),
    [("2d", "raster", "true"), ("1d", "raster", "false"), ("2d", "delay", "false")],
)
def test_a_music_model_of_residual_tokens(
    tmp_path: Path, rope: str, order: str, share: str
) -> None:
    model, music = tmp_path / "model", tmp_path / "music"
    save_network(debug_network(RESIDUAL_SPEC), model, RESIDUAL_SPEC.name)
    tokenizer = bandtok.Tokenizer.from_pretrained(model, vocoder="debug")
    rng = np.random.default_rng(0)
    for index in range(2):
        samples = rng.normal(0, 0.1, (1, 2 * 44_100)).astype(np.float32)
        music.mkdir(exist_ok=True)
        bandtok.Audio(samples, 44_100).save(music / f"{index}.wav")
    corpus = tokenize_corpus(music, tokenizer, tmp_path / "shards")
    assert corpus.tokenizer.fingerprint == tokenizer.fingerprint
    settings = {"steps": "2", "validate_every": "2", "tokenizer": str(model)}
    settings |= {"rope": rope, "order": order, "rows_share_codes": share}
    train("lm", "debug", data=tmp_path / "shards", out=tmp_path / "lm", settings=settings)
    writer = bandtok.MusicModel.from_pretrained(tmp_path / "lm", tokenizer=model)
    assert (writer.network.config.rope, writer.network.config.order) == (rope, order)
    clip = writer.generate("calm", duration_seconds=0.5)
    assert clip.audio.waveform.shape == (1, 22_050)
    assert clip.grid.codes.shape == (16, 6)
    assert clip.grid.fingerprint == tokenizer.fingerprint
    edited = writer.edit(clip.grid, bandtok.Region(seconds=(0.2, 0.3)))
    assert np.array_equal(edited.grid.codes[:, :2], clip.grid.codes[:, :2])
    with pytest.raises(GridError, match="seconds alone"):
        writer.edit(clip.grid, bandtok.Region(hertz=(2000, None)))
