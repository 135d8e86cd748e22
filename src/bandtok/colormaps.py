"""Color maps without a plotting library: values in [0, 1] -> RGB.

magma and viridis: Smith and van der Walt (2015), CC0. turbo: Mikhailov (2019), Apache-2.0. Given at
33 points and linear between them, which is within 3 of 255 of the originals.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

Colormap = Literal["magma", "viridis", "turbo"]

# RRGGBB at 0, 1/32, ..., 1.
_POINTS = {
    "magma": (
        "000003 030311 0a0722 120d33 1c1046 281159 350f6a 430f75 50127b 5d177e 691c80 "
        "762181 822581 8f2a80 9c2e7f a9327c b63679 c33b74 d0416f dc4869 e65162 ee5d5d "
        "f56a5b f9795c fb8861 fd9768 fea671 feb57c fec488 fdd295 fde1a3 fcf0b1 fbfcbf"
    ),
    "viridis": (
        "440154 460c5f 47186a 482273 472c7b 453681 424085 3e4989 3a528b 365a8c 32628d "
        "2f6a8d 2c728e 287a8e 26818e 23898d 20908c 1e988a 1e9f88 21a784 28ae7f 32b57a "
        "3ebc73 4dc26b 5ec961 70ce56 83d34b 97d83e addc30 c2df22 d7e219 ece41a fde724"
    ),
    "turbo": (
        "30123b 392972 4040a1 4456c7 466be3 467ff6 4193fe 36a8f9 28bbeb 1ccdd7 17dcc2 "
        "1ee8af 32f197 4df97c 6dfd62 8bfe4b a4fc3b b9f534 cdeb34 dfde36 edcf39 f8be39 "
        "fdab33 fd952b fa7d20 f46516 ea500d de3e08 d02f04 be2102 a91501 910b01 7a0402"
    ),
}


def colors(values: np.ndarray, colormap: Colormap) -> np.ndarray:
    """Color an array.

    Args:
        values: float, any shape; clipped to [0, 1].
        colormap: "magma", "viridis" or "turbo".

    Returns:
        uint8 [..., 3].
    """
    values = np.clip(values, 0.0, 1.0)
    points = np.array([list(bytes.fromhex(one)) for one in _POINTS[colormap].split()])
    at = np.linspace(0, 1, len(points))
    rgb = np.stack([np.interp(values, at, channel) for channel in points.T], axis=-1)
    result: np.ndarray = np.round(rgb).astype(np.uint8)
    return result
