"""Pictures without axes: one pixel a value, lowest row at the foot, colors that compare."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from bandtok.evaluation.spectrogram_png import bare_mel, bare_tokens
from bandtok.tokens.grid import TokenGrid

SILENCE = -11.5


def pixels(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB")).astype(int)


def test_a_mel_has_one_pixel_a_value_and_its_lowest_bin_at_the_foot() -> None:
    mel = np.full((8, 20), SILENCE, np.float32)
    mel[0, 5] = 0.0
    picture = pixels(bare_mel(mel, top=0.0, bottom=SILENCE))
    assert picture.shape == (8, 20, 3)
    brightness = picture.sum(axis=2)
    assert np.unravel_index(brightness.argmax(), brightness.shape) == (7, 5)
    assert len(np.unique(brightness)) == 2


def test_one_scale_of_colors_for_loud_and_quiet() -> None:
    ramp = np.linspace(-6, 0, 16, dtype=np.float32)[None]
    loud, quiet = (
        pixels(bare_mel(ramp - step, top=0.0, bottom=SILENCE)).sum(axis=2) for step in (0, 2)
    )
    assert (quiet < loud).all()
    assert (np.diff(loud[0]) >= 0).all()


def test_a_mel_of_silence_alone_is_drawn() -> None:
    mel = np.full((4, 3), SILENCE, np.float32)
    picture = pixels(bare_mel(mel, top=SILENCE, bottom=SILENCE))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 1


def test_equal_codes_have_equal_colors() -> None:
    codes = np.array([[0, 1, 0], [4095, 7, 1]])
    picture = pixels(bare_tokens(TokenGrid(codes=codes, codebook_size=4096)))
    assert picture.shape == (2, 3, 3)
    first, second = picture[1], picture[0]  # row 0 is at the foot
    assert (first[0] == first[2]).all()
    assert (first[1] == second[2]).all()
    assert not (first[0] == first[1]).all()
