"""Regions in seconds and Hz, and the cells they touch."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest

from bandtok.errors import GridError
from bandtok.tokens.grid import TokenGrid
from bandtok.tokens.region import Region, band_edges_hz

# Four bands of two bins; frames of a second.
CENTERS = np.array([100, 200, 300, 400, 600, 800, 1200, 1600], dtype=np.float64)
GRID = TokenGrid(
    codes=np.zeros((4, 6), np.int64),
    codebook_size=8,
    sample_rate=4000,
    samples_per_frame=4000,
    num_samples=22_000,
)


def test_bands_meet_half_way_between_their_bins() -> None:
    assert band_edges_hz(CENTERS, 4, 2000).tolist() == [0, 250, 500, 1000, 2000]


@pytest.mark.parametrize(
    ("region", "bands", "frames"),
    [
        (Region(), [0, 1, 2, 3], [0, 1, 2, 3, 4, 5]),
        (Region(seconds=(1, 3)), [0, 1, 2, 3], [1, 2]),
        (Region(seconds=(1.5, 2.1)), [0, 1, 2, 3], [1, 2]),
        (Region(seconds=(1 / 3 * 3, 2 + 1e-9)), [0, 1, 2, 3], [1]),
        (Region(seconds=(5.2, None)), [0, 1, 2, 3], [5]),
        (Region(seconds=(5, 900)), [0, 1, 2, 3], [5]),
        (Region(hertz=(500, None)), [2, 3], [0, 1, 2, 3, 4, 5]),
        (Region(hertz=(499, 500)), [1], [0, 1, 2, 3, 4, 5]),
        (Region(hertz=(0, 250)), [0], [0, 1, 2, 3, 4, 5]),
        (Region(hertz=(1999, 90_000)), [3], [0, 1, 2, 3, 4, 5]),
        (Region(seconds=(2, 3), hertz=(400, 600)), [1, 2], [2]),
    ],
)
def test_cells_are_those_the_region_touches(
    region: Region, bands: list[int], frames: list[int]
) -> None:
    expected = np.zeros((4, 6), bool)
    expected[np.ix_(bands, frames)] = True
    np.testing.assert_array_equal(region.cells(GRID, CENTERS), expected)


@pytest.mark.parametrize(
    "span", [(3, 3), (4, 3), (-1, 3), (nan, 3), (0, nan), (inf, None), (-inf, inf)]
)
@pytest.mark.parametrize("axis", ["seconds", "hertz"])
def test_spans_that_are_none_are_refused(span: tuple[float, float], axis: str) -> None:
    with pytest.raises(GridError, match="expected a start of 0 or more"):
        Region(**{axis: span})


def test_regions_outside_the_piece_are_refused() -> None:
    with pytest.raises(GridError, match=r"inside the piece's 5.5 s"):
        Region(seconds=(5.5, 6)).cells(GRID, CENTERS)
    with pytest.raises(GridError, match="below 2000 Hz"):
        Region(hertz=(2000, None)).cells(GRID, CENTERS)


def test_a_piece_of_nothing_has_no_region() -> None:
    empty = TokenGrid(codes=np.zeros((4, 0), np.int64), codebook_size=8)
    with pytest.raises(GridError, match="inside the piece's 0 s"):
        Region().cells(empty, CENTERS)


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("3-6", Region(seconds=(3, 6))),
        ("3-6s", Region(seconds=(3, 6))),
        (" 3.5s - 6s , 200 - 4000 Hz ", Region(seconds=(3.5, 6), hertz=(200, 4000))),
        ("3-", Region(seconds=(3, None))),
        ("-2", Region(seconds=(0, 2))),
        ("-,2000-", Region(hertz=(2000, None))),
        ("0-1,-500hz", Region(seconds=(0, 1), hertz=(0, 500))),
    ],
)
def test_written_regions(text: str, region: Region) -> None:
    assert Region.parse(text) == region


@pytest.mark.parametrize("text", ["", "3", "3-6-9", "a-b", "nan-3", "3-6,", "1e3-2e3", "3–6", "\n"])
def test_what_is_no_region_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(GridError, match="expected START-END"):
        Region.parse(text)


def test_a_written_region_that_is_inverted_is_refused() -> None:
    with pytest.raises(GridError, match="from 6 to 3 s"):
        Region.parse("6-3")
