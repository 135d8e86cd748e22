"""Pictures are PNG files of a sane size, drawn without a display."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from bandtok.errors import AudioError
from bandtok.evaluation.mutual_information import token_dependence
from bandtok.evaluation.perplexity import LanguageModelScore, RowScore
from bandtok.evaluation.plots import (
    _draw_tokens,
    narrowed,
    plot_clip,
    plot_mels,
    plot_profiles,
    plot_reconstruction,
    plot_usage,
)
from bandtok.evaluation.statistics import Estimate
from bandtok.evaluation.usage import UsageCounter
from bandtok.signal.audio import Audio
from bandtok.signal.mel import MelConfig
from bandtok.tokens.grid import TokenGrid


def audio(samples: int = 6 * 4096, level: float = 0.1) -> Audio:
    noise = np.random.default_rng(0).standard_normal((1, samples))
    return Audio((level * noise).astype(np.float32), 44_100)


def grid(frames: int = 6) -> TokenGrid:
    codes = np.random.default_rng(0).integers(0, 4096, (16, frames))
    return TokenGrid(codes=codes, codebook_size=4096)


def test_reconstruction_picture(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    plot_reconstruction(path, audio(), audio(level=0.05), grid(), title="half as loud")
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.size == (1100, 1050)
        assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 50
    assert list(tmp_path.iterdir()) == [path]


def test_layers_are_not_drawn_as_frequencies() -> None:
    bands, layers = Figure().subplots(2)
    _draw_tokens(bands, grid(), MelConfig(), True)
    _draw_tokens(layers, grid(), MelConfig(), False)
    assert "16 bands" in bands.get_title(loc="left")
    assert bands.get_ylabel() == "frequency (Hz)"
    assert not bands.yaxis_inverted()
    assert "16 layers" in layers.get_title(loc="left")
    assert layers.get_ylabel() == "layer, coarsest first"
    assert layers.yaxis_inverted()
    assert layers.get_yticks().tolist() == list(range(0, 16, 2))


@pytest.mark.parametrize("tokens", [grid(), None], ids=["tokens", "none"])
def test_picture_of_a_clip(tmp_path: Path, tokens: TokenGrid | None) -> None:
    path = tmp_path / "clip.png"
    plot_clip(path, audio(), tokens, title="a clip", rows_are_bands=False)
    with Image.open(path) as picture:
        assert picture.size == (600, 400 if tokens else 224)
    with pytest.raises(AudioError, match="expected more than"):
        plot_clip(path, audio(100), tokens)


def test_small_picture_of_two_mels(tmp_path: Path) -> None:
    config = MelConfig()
    before = np.full((config.n_mels, 40), config.silence, np.float32)
    pictures = []
    for limit in (1.0, 8.0):
        path = tmp_path / f"{limit}.png"
        plot_mels(path, before, before + 1.0, config, difference_limit=limit)
        with Image.open(path) as picture:
            assert picture.size == (600, 480)
            pictures.append(np.asarray(picture.convert("RGB")).astype(int))
    lower = [picture[360:420, 100:450].mean(axis=(0, 1)) for picture in pictures]
    assert lower[0][1] < 100  # at its limit a difference is dark red
    assert lower[1][1] > 180  # far below it, nearly white


def test_silence_can_be_drawn(tmp_path: Path) -> None:
    silent = Audio(np.zeros((1, 4096), np.float32), 44_100)
    plot_reconstruction(tmp_path / "picture.png", silent, silent, grid(1))
    assert (tmp_path / "picture.png").stat().st_size > 5_000


def test_a_failed_picture_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(AudioError):
        plot_reconstruction(tmp_path / "picture.png", audio(), audio(4096), grid())
    assert not list(tmp_path.iterdir())


def test_usage_picture(tmp_path: Path) -> None:
    counter = UsageCounter(4096, 16)
    counter.add(grid(50).codes)
    path = tmp_path / "usage.png"
    plot_usage(path, counter.usage(), title="usage")
    with Image.open(path) as picture:
        assert picture.size == (900, 600)


def test_pictures_of_token_statistics(tmp_path: Path) -> None:
    codes = grid(50).codes
    counter = UsageCounter(4096, 16)
    counter.add(codes)
    usage, dependence = counter.usage(), token_dependence([codes])
    score = LanguageModelScore(
        name="even",
        parameters=1,
        num_windows=1,
        window_frames=50,
        rows=(RowScore(nats=np.log(4096), perplexity=4096.0),) * 16,
        nats=Estimate(mean=8.3, low=8.2, high=8.4, count=1),
        bits_per_second=2067.0,
    )
    heights = []
    for name, shown in (("all", (dependence, score)), ("entropy", (None, score))):
        plot_profiles(tmp_path / f"{name}.png", usage, *shown, title=name)
        with Image.open(tmp_path / f"{name}.png") as picture:
            heights.append(picture.size[1])
    assert heights == [940, 380]


def test_long_images_are_narrowed_by_the_mean() -> None:
    image = np.arange(2 * 4001, dtype=np.float64).reshape(2, 4001)
    narrow = narrowed(image)
    assert narrow.shape == (2, 1334)
    assert narrow[0, 0] == 1.0
    assert narrow[1, -1] == image[1, 3999:].mean()
    assert narrowed(image[:, :7]) is not None


@pytest.mark.slow
def test_pyplot_is_not_loaded() -> None:
    code = "import sys, bandtok.evaluation.plots; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
