"""What generated clips say of the claim, from measures as evaluators give them."""

from __future__ import annotations

from typing import Any

from research.claims.study_generation import _COLUMNS, NAMES, _answer, _line


def measured(frechet: float | None, area: float | None) -> dict[str, Any]:
    return {
        "measures": {
            "clips": 24,
            "frechet": frechet,
            "windows": None if frechet is None else 72,
            "frechet_error": None if frechet is None else 2.0,
            "coverage": 0.5,
            "precision": 0.4,
            "diversity": 0.9,
            "tag_divergence": 0.3,
            "silent": 0,
            "frozen": 1,
        },
        "beside": [],
        "control": None
        if area is None
        else {"area": area, "low": area - 0.05, "high": area + 0.05, "asked": 24},
        "run_seconds": [0.5, 1.5, 1.0],
    }


def found(band: list[Any], residual: list[Any], delay: list[Any]) -> dict[str, list[Any]]:
    return dict(zip(NAMES, (band, residual, delay), strict=True))


def test_the_claim_is_read_off_distances_and_areas() -> None:
    band = [measured(50.0, 0.7), measured(52.0, 0.72)]
    residual = [measured(70.0, 0.55), measured(66.0, 0.5)]
    text = _answer(found(band, residual, residual))
    assert "The claim holds here: Frechet distance to held-out music 51.0 [" in text
    assert "for band and 68.0 [" in text
    assert "band minus residual -17.0" in text
    assert "Against the delay pattern: -17.0" in text
    assert "0.710 [" in text
    assert "the claim holds here, +0.185" in text
    assert "other way round" in _answer(found(residual, band, band))


def test_distances_within_their_error_decide_nothing() -> None:
    text = _answer(found([measured(50.0, None)], [measured(53.0, None)], [measured(53.0, None)]))
    assert "Not decided here" in text
    assert "Text control was not measured" in text


def test_without_a_judge_there_is_no_claim() -> None:
    nothing = {"measures": None, "beside": [], "control": None, "run_seconds": None}
    text = _answer(found([nothing], [nothing], [nothing]))
    assert "was not measured" in text
    assert "holds" not in text
    assert len(_line("band, 2D", "0", nothing)) == len(_COLUMNS)


def test_a_line_holds_all_measures() -> None:
    line = dict(zip(_COLUMNS, _line("band, 2D", "0", measured(50.0, 0.7)), strict=True))
    assert line["Frechet distance"] == "50.0 [46.1, 53.9]"
    assert line["text control, area"] == "0.700 [0.650, 0.750]"
    assert line["longest run, s (median)"] == "1.00"
    assert line["silent, frozen"] == "0, 1"
