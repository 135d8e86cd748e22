"""Captions from titles and style words."""

from __future__ import annotations

from bandtok.data.captions import caption_variants, clean_title, full_caption

STYLE = ["electronic", "ambient", "dark"]


def test_full_caption_says_everything_known() -> None:
    assert full_caption("Nuclear Heartbeat", STYLE) == (
        "electronic ambient dark music, Nuclear Heartbeat"
    )
    assert full_caption("", ["calm"]) == "calm music"
    assert full_caption("Loyalists", []) == "Loyalists"
    assert full_caption("track 07", []) == ""


def test_titles_that_say_nothing_are_left_out() -> None:
    for empty in ("track11", "Track 07", "music005", " ", "03", "Untitled"):
        assert clean_title(empty) == ""
    for title in ("Town", "Track of the fox", "arctic_breeze"):
        assert clean_title(title) == " ".join(title.split("_"))


def test_variants_differ_yet_are_always_the_same() -> None:
    variants = caption_variants("Nuclear Heartbeat", STYLE, 16)
    assert variants == caption_variants("Nuclear Heartbeat", STYLE, 16)
    assert variants != caption_variants("Nuclear Heartbeat", STYLE, 16, seed=1)
    assert len(variants) == 16
    assert len(set(variants)) > 8
    assert variants[0] == full_caption("Nuclear Heartbeat", STYLE)


def test_parts_are_dropped_and_none_is_invented() -> None:
    variants = [text.lower() for text in caption_variants("Nuclear Heartbeat", STYLE, 200)]
    for part in (*STYLE, "nuclear heartbeat"):
        share = sum(part in text for text in variants) / len(variants)
        assert 0.2 < share < 0.95
    assert all(text.strip() for text in variants)
    assert not any("rock" in text for text in variants)


def test_a_track_of_which_nothing_is_known_has_empty_captions() -> None:
    assert set(caption_variants("Track 1", [], 10)) == {""}


def test_a_title_alone_is_always_used() -> None:
    assert all("oyalists" in text for text in caption_variants("Loyalists", [], 30))
