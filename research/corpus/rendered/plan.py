"""The plan of a piece: everything about it that is drawn by chance, from a seed and its number.

Pieces are numbered, and a piece depends on (seed, number) alone, so that a longer corpus holds the
shorter one. A piece's split follows from its tune, and some combinations of style, lead and tempo
are kept out of training altogether.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bandtok.data.manifest import split_of
from research.corpus.rendered.styles import STYLES, Layer, Style

SOUNDFONTS = ("fluid", "timgm")
_SOUNDFONT_SHARES = (0.6, 0.4)
_SECONDS = (20.0, 60.0)
BEATS_A_BAR = {"4/4": 4, "3/4": 3, "6/8": 2}
_FASTEST_IN_SIX = 138.0
_HELD_OUT_SHARE = 0.05


@dataclass(frozen=True, kw_only=True)
class PlannedLayer:
    """A layer with its player: see `styles.Layer`."""

    plays: str
    instrument: str
    how: str
    level: float
    says: str


@dataclass(frozen=True, kw_only=True)
class PiecePlan:
    """One piece.

    Attributes:
        number: of the piece.
        seed: what else is drawn for it comes from this.
        style: name of the style.
        meter: of the tune to choose, e.g. "4/4".
        tempo: class, "slow", "medium" or "fast"; bpm: beats a minute, dotted quarters in 6/8.
        layers: lead first; empty for drums alone.
        beat: name of the drum beat, "" for none. fills: how often a fourth bar ends in one.
        dynamics: "soft", "normal" or "loud".
        staccato, swing, tight: ways of playing.
        transpose: semitones. tuning_cents: off concert pitch.
        first_bar, bars: which bars of the tune, going round.
        room: 0 to 1, size of the room. soundfont: which.
    """

    number: int
    seed: int
    style: str
    meter: str
    tempo: str
    bpm: float
    layers: tuple[PlannedLayer, ...]
    beat: str
    fills: float
    dynamics: str
    staccato: bool
    swing: bool
    tight: bool
    transpose: int
    tuning_cents: float
    first_bar: int
    bars: int
    room: float
    soundfont: str

    @property
    def seconds(self) -> float:
        """Length without the end that dies away."""
        return self.bars * BEATS_A_BAR[self.meter] * 60.0 / self.bpm

    @property
    def lead(self) -> str:
        """Key of the lead instrument, "drums" where drums are alone."""
        return self.layers[0].instrument if self.layers else "drums"

    @property
    def held_out(self) -> bool:
        """Whether this combination of style, lead and tempo is kept out of training."""
        return is_held_out(self.style, self.lead, self.tempo)


def style_named(name: str) -> Style:
    return next(style for style in STYLES if style.name == name)


def is_held_out(style: str, lead: str, tempo: str) -> bool:
    """Say whether a combination is kept out of training; depends on the three names alone."""
    return split_of(f"combination|{style}|{lead}|{tempo}") == "test"


def plan_piece(seed: int, number: int, styles: Sequence[Style] = STYLES) -> PiecePlan:
    """Draw the piece of this number."""
    rng = np.random.default_rng((seed, number, 1))
    shares = np.array([style.share for style in styles])
    style = styles[int(rng.choice(len(styles), p=shares / shares.sum()))]
    meter = str(rng.choice(style.meters))
    tempo = str(rng.choice(sorted(style.tempos)))
    low, high = style.tempos[tempo]
    bpm = round(float(rng.uniform(low, min(high, _FASTEST_IN_SIX) if meter == "6/8" else high)), 1)
    layers = _layers(style, rng)
    bar_seconds = BEATS_A_BAR[meter] * 60.0 / bpm
    return PiecePlan(
        number=number,
        seed=int(rng.integers(2**31)),
        style=style.name,
        meter=meter,
        tempo=tempo,
        bpm=bpm,
        layers=layers,
        beat=str(rng.choice(style.beats)) if style.beats else "",
        fills=float(rng.choice((0.0, 0.5, 1.0))),
        dynamics=str(rng.choice(style.dynamics)),
        staccato=bool(rng.random() < style.staccato),
        swing=style.swing,
        tight=style.tight,
        transpose=int(rng.integers(-5, 7)),
        tuning_cents=round(float(rng.uniform(-20.0, 20.0)), 1),
        first_bar=4 * int(rng.integers(0, 4)),
        bars=max(4, round(float(rng.uniform(*_SECONDS)) / bar_seconds)),
        room=round(float(rng.uniform(*style.reverb)), 2),
        soundfont=str(rng.choice(SOUNDFONTS, p=_SOUNDFONT_SHARES)),
    )


def _layers(style: Style, rng: np.random.Generator) -> tuple[PlannedLayer, ...]:
    planned: list[PlannedLayer] = []
    for layer in style.layers:
        if rng.random() < layer.share:
            lead = planned[0].instrument if planned else ""
            planned.append(_planned(layer, lead, rng))
    return tuple(planned)


def _planned(layer: Layer, lead: str, rng: np.random.Generator) -> PlannedLayer:
    chosen = str(rng.choice(layer.by))
    how = str(rng.choice(layer.how))
    return PlannedLayer(
        plays="bass" if layer.plays == "drone" else layer.plays,
        instrument=lead if chosen == "lead" else chosen,
        how="drone" if layer.plays == "drone" else how,
        level=layer.level,
        says=layer.says,
    )
