"""A tune to one chord a bar: of the chords of its key, the one that its long notes agree with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from research.corpus.rendered.abc import Tune, TuneNote

_SCALES = {False: (0, 2, 4, 5, 7, 9, 11), True: (0, 2, 3, 5, 7, 8, 10)}
# How willingly a chord on each degree is taken, the melody apart.
_LIKING = {
    False: (0.45, 0.05, -0.25, 0.3, 0.35, 0.15, -1.0),
    True: (0.45, -1.0, 0.2, 0.25, 0.15, 0.25, 0.3),
}
_STRANGE = -0.6


@dataclass(frozen=True, kw_only=True)
class Chord:
    """A triad: pitch classes of root, third and fifth."""

    root: int
    third: int
    fifth: int

    @property
    def pitch_classes(self) -> tuple[int, int, int]:
        return (self.root, self.third, self.fifth)


def harmonize(tune: Tune) -> list[Chord]:
    """Return a chord for every bar of the tune; the last is that of the tonic."""
    chords = _chords_of_key(tune.tonic, tune.minor)
    liking = _LIKING[tune.minor]
    chosen: list[Chord] = []
    for bar in tune.bars:
        scores = [
            like + _agreement(bar, chord) - 0.15 * (bool(chosen) and chord == chosen[-1])
            for like, chord in zip(liking, chords, strict=True)
        ]
        chosen.append(chords[max(range(7), key=scores.__getitem__)])
    chosen[-1] = chords[0]
    return chosen


def _chords_of_key(tonic: int, minor: bool) -> list[Chord]:
    scale = _SCALES[minor]
    degrees = [[(tonic + scale[(step + up) % 7]) % 12 for up in (0, 2, 4)] for step in range(7)]
    return [Chord(root=root, third=third, fifth=fifth) for root, third, fifth in degrees]


def _agreement(bar: Sequence[TuneNote], chord: Chord) -> float:
    """Return the share of the bar's sound that the chord agrees with, from -0.6 to 1."""
    total = sum(float(note.length) for note in bar)
    if not total:
        return 0.0
    inside = {chord.root: 1.0, chord.third: 0.95, chord.fifth: 0.85}
    score = sum(
        float(note.length)
        * (1.3 if note.start == 0 else 1.0)
        * inside.get(note.pitch % 12, _STRANGE)
        for note in bar
    )
    return score / total
