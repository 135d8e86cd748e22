"""Colors of tokens: by codebook entry for the bundled tokenizer, by code for others."""

from __future__ import annotations

import numpy as np

import bandtok
from bandtok.tokens.code_colors import colors_file, token_image
from bandtok.tokens.grid import TokenGrid

CODES = np.array([[0, 1, 0], [7, 4095, 1]])


def grid(codes: np.ndarray, fingerprint: str) -> TokenGrid:
    return TokenGrid(codes=codes, codebook_size=4096, fingerprint=fingerprint)


def test_the_bundled_tokenizer_has_colors() -> None:
    tokenizer = bandtok.Tokenizer.from_pretrained(device="cpu")
    table = np.load(colors_file(tokenizer.fingerprint))
    assert table.shape == (4096, 3)
    image = token_image(grid(CODES, tokenizer.fingerprint))
    np.testing.assert_array_equal(image, table[CODES])
    loud = tokenizer.encode(bandtok.Audio(_noise(0.3), 44_100))
    soft = tokenizer.encode(bandtok.Audio(_noise(0.001), 44_100))
    assert token_image(loud).mean() > token_image(soft).mean() + 20


def _noise(level: float) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal((1, 44_100))
    return (level * noise).astype(np.float32)


def test_codes_of_other_tokenizers_differ_in_color() -> None:
    for fingerprint in ("", "../x", "0" * 32):
        image = token_image(grid(CODES, fingerprint))
        assert (image[0, 0] == image[0, 2]).all()
        assert (image[0, 1] == image[1, 2]).all()
        assert not (image[0, 0] == image[0, 1]).all()
