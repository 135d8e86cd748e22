"""Our color maps against matplotlib's."""

from __future__ import annotations

from typing import get_args

import matplotlib
import numpy as np
import pytest

from bandtok.colormaps import Colormap, colors


@pytest.mark.parametrize("name", ["magma", "viridis", "turbo"])
def test_near_the_originals(name: Colormap) -> None:
    values = np.linspace(0, 1, 500)
    theirs = matplotlib.colormaps[name](values, bytes=True)[:, :3].astype(int)
    assert np.abs(colors(values, name) - theirs).max() <= 4


@pytest.mark.parametrize("name", get_args(Colormap))
def test_shapes_and_limits(name: Colormap) -> None:
    image = colors(np.array([[-1.0, 0.0], [1.0, 7.0]]), name)
    assert image.shape == (2, 2, 3)
    assert image.dtype == np.uint8
    assert (image[0, 0] == image[0, 1]).all()
    assert (image[1, 0] == image[1, 1]).all()
