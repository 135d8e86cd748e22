"""ABC notation, against bars written out by hand."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from research.corpus.rendered.abc import Tune, read_tune, split_tunes


def tune(body: str, meter: str = "4/4", unit: str = "1/8", key: str = "C") -> Tune | None:
    return read_tune(f"X:1\nT:A Tune.\nM:{meter}\nL:{unit}\nK:{key}\n{body}\n", "Book/1")


def notes(bar: int, found: Tune | None) -> list[tuple[float, float, int]]:
    assert found is not None
    return [(float(n.start), float(n.length), n.pitch) for n in found.bars[bar]]


EIGHT = "|".join(["C2D2E2F2"] * 8)


def test_pitches_lengths_and_octaves() -> None:
    found = tune(f"C2D2e2f,2|c'4 z4|G/A/ B3/2c/ d3 c2|{EIGHT}|")
    assert notes(0, found) == [(0, 1, 60), (1, 1, 62), (2, 1, 76), (3, 1, 65)]
    assert notes(1, found) == [(0, 2, 84)]
    assert [pitch for _, _, pitch in notes(2, found)] == [67, 69, 71, 72, 74, 72]
    assert notes(2, found)[2][:2] == (0.5, 0.75)
    assert found is not None
    assert (found.title, found.meter, found.tonic, found.minor) == ("A Tune", "4/4", 0, False)


def test_signature_accidentals_and_their_end_at_the_bar() -> None:
    found = tune(f"F2=F2F2^G2|F2G2_B2B2|{EIGHT}|", key="D")
    assert [pitch for _, _, pitch in notes(0, found)] == [66, 65, 65, 68]
    assert [pitch for _, _, pitch in notes(1, found)] == [66, 67, 70, 70]
    dorian, minor = tune(f"{EIGHT}|", key="A Dorian"), tune(f"{EIGHT}|", key="Gm")
    assert dorian is not None
    assert minor is not None
    assert (dorian.tonic, dorian.minor, minor.tonic, minor.minor) == (9, True, 7, True)
    assert [pitch for _, _, pitch in notes(0, dorian)] == [60, 62, 64, 66]
    assert [pitch for _, _, pitch in notes(0, minor)] == [60, 62, 63, 65]


def test_broken_rhythm_triplets_ties_graces_and_chords() -> None:
    found = tune(f'A>B c<d (3efg a2|{{c}}"Am"A2-A2 [CEG]4|{EIGHT}|')
    lengths = [length for _, length, _ in notes(0, found)]
    assert lengths[:4] == [0.75, 0.25, 0.25, 0.75]
    assert lengths[4:] == [float(Fraction(1, 3))] * 3 + [1.0]
    assert notes(1, found) == [(0, 2, 69), (2, 2, 67)]


def test_repeats_are_written_out_with_their_endings() -> None:
    bars = "|:C8|D8|1 E8:|2 F8||:G8|A8:|C8|C8|"
    found = tune(bars)
    assert found is not None
    assert [bar[0].pitch for bar in found.bars] == [
        *(60, 62, 64, 60, 62, 65),
        *(67, 69, 67, 69),
        *(60, 60),
    ]


def test_upbeats_complete_the_short_bar_before_them() -> None:
    found = tune("G2|:" + "|".join(["C8"] * 8) + "|C6:|G2|C8|")
    assert found is not None
    assert all(len(bar) in (1, 2) for bar in found.bars)
    assert notes(0, found) == [(3, 1, 67)]


def test_two_four_becomes_four_four() -> None:
    sixteenths = tune("|".join(["CDEFGABc"] * 8), meter="2/4", unit="1/16")
    eighths = tune("|".join(["CDEF"] * 16), meter="2/4")
    for found in (sixteenths, eighths):
        assert found is not None
        assert found.meter == "4/4"
        assert len(found.bars) == 8
        assert [float(note.start) for note in found.bars[0]] == [n / 2 for n in range(8)]


def test_what_is_not_understood_is_left_out() -> None:
    assert tune(f"[V:1]{EIGHT}|") is None
    assert tune(f"{EIGHT}|\nK:G\n{EIGHT}|") is None
    assert tune(f"{EIGHT}|", meter="none") is None
    assert tune("C8|D8|") is None
    assert tune("|".join(["C5"] * 12)) is None


@given(st.text(alphabet="ABCabc|:[]()23/<>-'\",^_=z {}!", max_size=80))
def test_no_text_raises(body: str) -> None:
    found = tune(body)
    assert found is None or all(note.length > 0 for bar in found.bars for note in bar)


def test_tunes_are_split_at_their_numbers() -> None:
    assert len(split_tunes("% a book\nX:1\nT:a\n\nX: 2\nT:b\n")) == 2
