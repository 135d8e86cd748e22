"""What pictures of spectrograms and token grids share: level range, frequency marks, columns."""

from __future__ import annotations

import numpy as np

from bandtok.signal.mel import MelConfig, mel_bin_centers_hz

_TICKS_HZ = (300, 1_000, 3_000, 10_000, 20_000)
_MAX_COLUMNS = 1_600
RANGE_DB = 90.0
"""How far below the loudest moment a spectrogram's darkest color is."""
DECIBELS = 20 / np.log(10)
"""dB in one unit of an ln-mel."""


def frequency_marks(config: MelConfig) -> dict[int, float]:
    """Return round frequencies in Hz and where they lie on the mel axis, in bins from its foot."""
    centers = mel_bin_centers_hz(config)
    shown = [hertz for hertz in _TICKS_HZ if centers[0] <= hertz <= centers[-1]]
    places = np.interp(shown, centers, np.arange(config.n_mels) + 0.5)
    return dict(zip(shown, places.tolist(), strict=True))


def narrowed(image: np.ndarray) -> np.ndarray:
    """Average neighboring columns of a recording longer than the picture is wide."""
    group = -(-image.shape[1] // _MAX_COLUMNS)
    if group == 1:
        return image
    starts = np.arange(0, image.shape[1], group)
    sums = np.add.reduceat(image, starts, axis=1)
    return sums / np.diff(np.append(starts, image.shape[1]))
