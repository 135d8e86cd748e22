"""Write the colors of the bundled tokenizer's codes, for pictures of token grids.

    python -m tools.write_code_colors

Hue is the direction of the codebook entry in its second and third principal components, brightness
the energy of the mel that a grid of this code alone decodes to, by rank. Takes four minutes.
"""

from __future__ import annotations

import numpy as np
from safetensors.numpy import load_file

import bandtok
from bandtok.checkpoint import BUNDLED
from bandtok.tokens.atomic import replacing
from bandtok.tokens.code_colors import colors_file

_FRAMES, _CONTEXT = 4, 11  # frames measured of each code, and decoded on either side
_SATURATION, _DARKEST = 0.75, 0.15


def energies(tokenizer: bandtok.Tokenizer) -> np.ndarray:
    """Return the mean ln-mel of each code alone, float [codebook_size]."""
    found = []
    size = _FRAMES + 2 * _CONTEXT
    for code in range(tokenizer.codebook_size):
        codes = np.full((tokenizer.num_bands, size), code, np.int64)
        mel = tokenizer.codec.decode_mel(codes)
        reduction = mel.shape[1] // size
        found.append(mel[:, _CONTEXT * reduction : -_CONTEXT * reduction].mean())
    return np.array(found)


def hues(entries: np.ndarray) -> np.ndarray:
    """Return the angle of each entry [codebook_size, dim] as a share of the circle."""
    centered = entries - entries.mean(axis=0)
    _, _, axes = np.linalg.svd(centered, full_matrices=False)
    axes *= np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    second, third = (centered @ axes[1:3].T).T
    return np.arctan2(third, second) / (2 * np.pi) % 1.0


def main() -> None:
    """Write the file."""
    tokenizer = bandtok.Tokenizer.from_pretrained(device="cpu")
    entries = load_file(BUNDLED / "tokenizer" / "model.safetensors")["quantizer.codebook"]
    ranks = energies(tokenizer).argsort().argsort() / (tokenizer.codebook_size - 1)
    value = _DARKEST + (1 - _DARKEST) * ranks
    circle = np.abs((6 * hues(entries.astype(np.float64))[:, None] + [0, 4, 2]) % 6 - 3) - 1
    full = np.clip(circle, 0, 1)
    rgb = value[:, None] * (1 - _SATURATION + _SATURATION * full)
    with replacing(colors_file(tokenizer.fingerprint)) as temporary:
        np.save(temporary, np.round(255 * rgb).astype(np.uint8))


if __name__ == "__main__":
    main()
