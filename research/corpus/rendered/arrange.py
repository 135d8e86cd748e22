"""A tune and a plan to a score: every layer of the style played for as long as the piece lasts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from research.corpus.rendered.abc import Tune
from research.corpus.rendered.harmony import Chord, harmonize
from research.corpus.rendered.instruments import INSTRUMENTS, Instrument
from research.corpus.rendered.plan import PiecePlan, PlannedLayer
from research.corpus.rendered.rhythms import (
    BEATS,
    BEATS_IN_SIX,
    BEATS_IN_THREE,
    COMPS,
    CRASH,
    HIGH_TOM,
    LOW_TOM,
    MID_TOM,
    SNARE,
    STROKES,
    Beat,
)
from research.corpus.rendered.score import Note, Part, Score
from research.corpus.rendered.styles import LOUD, NORMAL, SOFT

_VELOCITY = {SOFT: 54, NORMAL: 82, LOUD: 110}
_TAIL_SECONDS = 1.5
_JITTER_SECONDS = 0.008
_PLACE = 0.25  # quarter notes of one place of a rhythm
_LOUD_KITS, _MACHINE_KITS, _BRUSHED_KITS = (0, 8, 16), (24, 25), (32, 40)
_BASS_LINES = {
    # (place, degree of the chord, places long) in a bar of 16
    "root": ((0, "root", 7), (8, "root", 7)),
    "fifths": ((0, "root", 6), (8, "fifth", 6)),
    "long": ((0, "root", 16),),
    "eighths": tuple((place, "root", 2) for place in range(0, 16, 2)),
    "sixteenths": tuple((place, "root", 1) for place in range(16)),
    "off beats": tuple((place, "root", 2) for place in range(2, 16, 4)),
    "octaves": tuple((place, "octave" if place % 4 else "root", 2) for place in range(0, 16, 2)),
    "funk": (
        (0, "root", 2), (3, "octave", 1), (6, "root", 1), (7, "fifth", 1),
        (10, "root", 2), (13, "octave", 1), (15, "seventh", 1),
    ),
}  # fmt: skip
_BROKEN = (0, 2, 1, 2)


@dataclass(frozen=True, kw_only=True)
class _Event:
    """A note in quarter notes from the start of the piece; `stress` scales its velocity."""

    start: float
    length: float
    pitch: int
    stress: float = 1.0


def arrange(tune: Tune, plan: PiecePlan) -> Score:
    """Return the score of a piece; the same for the same tune and plan."""
    rng = np.random.default_rng((plan.seed, 2))
    bars = Bars(tune, plan)
    parts: list[Part] = []
    notes: list[Note] = []
    for layer in plan.layers:
        instrument = INSTRUMENTS[layer.instrument]
        events = _play(layer, instrument, bars, plan, rng)
        parts.append(_part(layer, instrument, len(parts), rng))
        notes += _performed(events, len(parts) - 1, plan, bars.quarter_seconds, rng)
    if plan.beat:
        kits = _MACHINE_KITS if plan.tight else _BRUSHED_KITS if plan.swing else _LOUD_KITS
        parts.append(Part(program=int(rng.choice(kits)), drums=True, volume=0.85))
        events = _drums(_beat(plan), plan, bars, rng)
        notes += _performed(events, len(parts) - 1, plan, bars.quarter_seconds, rng)
    return Score(
        parts=tuple(parts),
        notes=tuple(notes),
        seconds=plan.bars * bars.quarters * bars.quarter_seconds + _TAIL_SECONDS,
        tuning_cents=plan.tuning_cents,
    )


class Bars:
    """The bars of a piece, the tune going round: where each begins, its melody and its chord."""

    def __init__(self, tune: Tune, plan: PiecePlan) -> None:
        chords = harmonize(tune)
        order = [(plan.first_bar + bar) % len(tune.bars) for bar in range(plan.bars)]
        self.quarters = float(tune.bar_quarters)
        self.places = round(self.quarters / _PLACE)
        self.quarter_seconds = 60.0 / plan.bpm * (2 / 3 if tune.meter == "6/8" else 1.0)
        self.chords = [_transposed(chords[bar], plan.transpose) for bar in order]
        self.melody = [
            [
                _Event(
                    start=number * self.quarters + float(note.start),
                    length=float(note.length),
                    pitch=note.pitch + plan.transpose,
                    stress=1.1 if note.start == 0 else 1.0,
                )
                for note in tune.bars[bar]
            ]
            for number, bar in enumerate(order)
        ]

    @property
    def bar_seconds(self) -> float:
        return self.quarters * self.quarter_seconds

    def starts(self) -> Iterator[tuple[float, Chord]]:
        for number, chord in enumerate(self.chords):
            yield number * self.quarters, chord


def _play(
    layer: PlannedLayer,
    instrument: Instrument,
    bars: Bars,
    plan: PiecePlan,
    rng: np.random.Generator,
) -> list[_Event]:
    if layer.plays == "melody":
        return _melody(bars, instrument, plan)
    if layer.plays == "long melody":
        return _long_melody(bars, instrument)
    if layer.plays == "harmony":
        return _harmony(bars, instrument)
    if layer.plays == "pad":
        return _chords(bars, "held", _middle(instrument), length=1.0)
    if layer.plays == "comp":
        return _chords(bars, layer.how, _middle(instrument), length=0.8)
    if layer.plays == "power":
        return _power(bars, layer.how)
    if layer.plays == "arpeggio":
        return _arpeggio(bars, layer.how, instrument)
    if layer.plays == "bass":
        return _bass(bars, layer.how, instrument, rng)
    assert layer.plays == "chaos", layer.plays
    return _chaos(bars, instrument, rng)


def _melody(bars: Bars, instrument: Instrument, plan: PiecePlan) -> list[_Event]:
    events = [event for bar in bars.melody for event in bar]
    held = 0.45 if plan.staccato else 0.97
    return [
        _Event(start=e.start, length=e.length * held, pitch=pitch, stress=e.stress)
        for e, pitch in zip(events, _into_range(events, instrument), strict=True)
    ]


def _long_melody(bars: Bars, instrument: Instrument) -> list[_Event]:
    """Keep the first note of each bar (and of its second half in 4/4), held on."""
    half = bars.quarters / 2 if bars.places == 16 else bars.quarters
    events = []
    for number, bar in enumerate(bars.melody):
        start = number * bars.quarters
        for begin in np.arange(start, start + bars.quarters, half):
            inside = [event for event in bar if begin <= event.start < begin + half]
            if inside:
                longest = max(inside, key=lambda event: event.length)
                events.append(_Event(start=float(begin), length=half * 0.98, pitch=longest.pitch))
    pitches = _into_range(events, instrument)
    return [
        _Event(start=event.start, length=event.length, pitch=pitch)
        for event, pitch in zip(events, pitches, strict=True)
    ]


def _harmony(bars: Bars, instrument: Instrument) -> list[_Event]:
    """Play, with the melody's rhythm, the chord tone next below it."""
    events = [event for bar in bars.melody for event in bar if event.length >= 0.5]
    pitches = _into_range(events, instrument)
    lower = []
    for event, pitch in zip(events, pitches, strict=True):
        chord = bars.chords[min(int(event.start / bars.quarters), len(bars.chords) - 1)]
        below = next(p for p in range(pitch - 3, pitch - 16, -1) if p % 12 in chord.pitch_classes)
        lower.append(_Event(start=event.start, length=event.length * 0.95, pitch=below))
    return lower


def _chords(bars: Bars, how: str, middle: int, length: float) -> list[_Event]:
    rhythm = COMPS[how][16 if bars.places == 16 else 12]
    strokes = _strokes(rhythm)
    events = []
    for start, chord in bars.starts():
        pitches = _voicing(chord, middle)
        for place, places, stress in strokes:
            events += [
                _Event(
                    start=start + place * _PLACE,
                    length=places * _PLACE * length,
                    pitch=pitch,
                    stress=stress,
                )
                for pitch in pitches
            ]
    return events


def _power(bars: Bars, how: str) -> list[_Event]:
    rhythm = COMPS[how][16 if bars.places == 16 else 12]
    events = []
    for start, chord in bars.starts():
        root = 40 + (chord.root - 40) % 12
        for place, places, stress in _strokes(rhythm):
            events += [
                _Event(
                    start=start + place * _PLACE,
                    length=places * _PLACE * 0.85,
                    pitch=pitch,
                    stress=stress,
                )
                for pitch in (root, root + 7, root + 12)
            ]
    return events


def _arpeggio(bars: Bars, how: str, instrument: Instrument) -> list[_Event]:
    step = 1 if how == "sixteenths" else 2
    middle = _middle(instrument)
    events = []
    for start, chord in bars.starts():
        low = _voicing(chord, middle - 4)
        ladder = [*low, low[0] + 12]
        for count, place in enumerate(range(0, bars.places, step)):
            index = _BROKEN[count % 4] if how == "broken" else _up_and_down(count, len(ladder))
            events.append(
                _Event(
                    start=start + place * _PLACE,
                    length=step * _PLACE * 0.95,
                    pitch=ladder[index],
                    stress=1.05 if place == 0 else 0.9,
                )
            )
    return events


def _bass(bars: Bars, how: str, instrument: Instrument, rng: np.random.Generator) -> list[_Event]:
    lowest = instrument.lowest if instrument.family in ("bass", "percussion") else 36
    lowest = max(lowest, instrument.lowest - 12)
    if how == "walking":
        return _walking(bars, lowest, rng)
    if how == "drone":
        root = lowest + (bars.chords[-1].root - lowest) % 12
        return [
            _Event(start=start, length=bars.quarters, pitch=pitch)
            for start, _ in bars.starts()
            for pitch in (root, root + 7)
        ]
    events = []
    for start, chord in bars.starts():
        root = lowest + (chord.root - lowest) % 12
        degrees = {"root": root, "octave": root + 12, "fifth": root + 7, "seventh": root + 10}
        for place, degree, places in _BASS_LINES[how]:
            if place < bars.places and not (bars.places == 12 and place == 8 and how == "root"):
                events.append(
                    _Event(
                        start=start + place * _PLACE,
                        length=min(places, bars.places - place) * _PLACE * 0.92,
                        pitch=degrees[degree],
                        stress=1.05 if place == 0 else 0.95,
                    )
                )
    return events


def _walking(bars: Bars, lowest: int, rng: np.random.Generator) -> list[_Event]:
    """Walk a quarter at a time from the root through the chord to beside the next root."""
    events = []
    roots = [lowest + (chord.root - lowest) % 12 for chord in bars.chords]
    for number, (start, chord) in enumerate(bars.starts()):
        root, following = roots[number], roots[(number + 1) % len(roots)]
        third = root + (chord.third - chord.root) % 12
        line = [root, third, root + 7, following + int(rng.choice((-1, 1)))]
        events += [
            _Event(start=start + beat, length=0.9, pitch=line[beat])
            for beat in range(round(bars.quarters))
        ]
    return events


def _chaos(bars: Bars, instrument: Instrument, rng: np.random.Generator) -> list[_Event]:
    """Play pitches and lengths that follow nothing."""
    events = []
    now, end = 0.0, len(bars.chords) * bars.quarters
    while now < end:
        length = float(rng.exponential(0.9)) + 0.15
        pitch = int(rng.integers(instrument.lowest, instrument.highest + 1))
        stress = float(rng.uniform(0.5, 1.15))
        events.append(_Event(start=now, length=length * 1.5, pitch=pitch, stress=stress))
        now += length
    return events


def _beat(plan: PiecePlan) -> Beat:
    if plan.meter == "3/4":
        return BEATS_IN_THREE.get(plan.beat, BEATS_IN_THREE["waltz"])
    if plan.meter == "6/8":
        return BEATS_IN_SIX.get(plan.beat, BEATS_IN_SIX["jig"])
    return BEATS[plan.beat]


def _drums(beat: Beat, plan: PiecePlan, bars: Bars, rng: np.random.Generator) -> list[_Event]:
    events = []
    for number in range(plan.bars):
        start = number * bars.quarters
        fill = bars.places == 16 and number % 4 == 3 and rng.random() < plan.fills
        for drum, rhythm in beat.items():
            events += [
                _Event(start=start + place * _PLACE, length=0.2, pitch=drum, stress=stress)
                for place, _, stress in _strokes(rhythm)
                if not (fill and place >= 12)
            ]
        if fill:
            toms = rng.choice((SNARE, HIGH_TOM, MID_TOM, LOW_TOM), size=4)
            events += [
                _Event(start=start + 3 + place * _PLACE, length=0.2, pitch=int(tom))
                for place, tom in enumerate(toms)
            ]
        if plan.fills and number % 8 == 0 and plan.dynamics == LOUD:
            events.append(_Event(start=start, length=0.5, pitch=CRASH))
    return events


def _performed(
    events: Sequence[_Event],
    part: int,
    plan: PiecePlan,
    quarter_seconds: float,
    rng: np.random.Generator,
) -> list[Note]:
    """Turn quarter notes into seconds and stress into velocity, as exactly as the players do."""
    base = _VELOCITY[plan.dynamics]
    jitter = 0.0 if plan.tight else _JITTER_SECONDS
    delays = rng.normal(0.0, 1.0, len(events)) * jitter
    spread = rng.normal(0.0, 2.0 if plan.tight else 5.0, len(events))
    notes = []
    for event, delay, change in zip(events, delays, spread, strict=True):
        start = _swung(event.start) if plan.swing else event.start
        notes.append(
            Note(
                part=part,
                start=max(start * quarter_seconds + float(delay), 0.0),
                length=event.length * quarter_seconds,
                pitch=int(np.clip(event.pitch, 0, 127)),
                velocity=int(np.clip(base * event.stress + change, 1, 127)),
            )
        )
    return notes


def _part(
    layer: PlannedLayer, instrument: Instrument, number: int, rng: np.random.Generator
) -> Part:
    pan = 0.0 if number == 0 or layer.plays == "bass" else float(rng.uniform(-0.6, 0.6))
    return Part(program=instrument.program, volume=min(layer.level, 1.0) * 0.9, pan=pan)


def _strokes(rhythm: str) -> list[tuple[int, int, float]]:
    """Return (place, places until the next stroke, stress) of each stroke."""
    places = [place for place, sign in enumerate(rhythm) if sign in STROKES]
    ends = [*places[1:], len(rhythm)]
    return [
        (place, end - place, STROKES[rhythm[place]])
        for place, end in zip(places, ends, strict=True)
    ]


def _voicing(chord: Chord, middle: int) -> list[int]:
    """Return the chord's pitches nearest to a middle, lowest first."""
    return sorted(middle - 6 + (tone - middle + 6) % 12 for tone in chord.pitch_classes)


def _middle(instrument: Instrument) -> int:
    """Return the pitch round which chords are laid: below the melody, where it still sounds."""
    return max(min(60, (instrument.lowest + instrument.highest) // 2 - 4), instrument.lowest)


def _into_range(events: Sequence[_Event], instrument: Instrument) -> list[int]:
    """Move a melody by octaves to the middle of the range, then single notes that stick out."""
    if not events:
        return []
    center = float(np.median([event.pitch for event in events]))
    middle = (instrument.lowest + instrument.highest) / 2 + 2
    shift = 12 * round((middle - center) / 12)
    pitches = []
    for event in events:
        pitch = event.pitch + shift
        while pitch > instrument.highest:
            pitch -= 12
        while pitch < instrument.lowest:
            pitch += 12
        pitches.append(pitch)
    return pitches


def _up_and_down(count: int, size: int) -> int:
    turn = count % (2 * size - 2)
    return turn if turn < size else 2 * size - 2 - turn


def _swung(start: float) -> float:
    whole, part = divmod(start, 1.0)
    return whole + (part * 4 / 3 if part < 0.5 else 2 / 3 + (part - 0.5) * 2 / 3)


def _transposed(chord: Chord, by: int) -> Chord:
    return Chord(
        root=(chord.root + by) % 12, third=(chord.third + by) % 12, fifth=(chord.fifth + by) % 12
    )
