"""Rendered corpora and their tokens -> tokens with the chord of each frame and the key.

A rendered piece depends on its seed and number alone, so its chords are computed again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bandtok.data.shards import TokenCorpus
from bandtok.errors import DataError
from bandtok.lm.chords import NO_CHORD
from research.corpus.rendered.arrange import Bars
from research.corpus.rendered.corpus import PIECES_NAME, choose_tune, styles_named
from research.corpus.rendered.harmony import Chord
from research.corpus.rendered.plan import plan_piece
from research.corpus.rendered.sources import TuneEntry, fetch_tunes, read_collections

_SOUNDS_CHORDS = {"pad", "comp", "arpeggio", "bass", "power"}
_QUALITIES = {(4, 7): 0, (3, 7): 1}


@dataclass(frozen=True, kw_only=True)
class LabeledTokens:
    """A piece.

    Attributes:
        codes: int64 [frames, bands].
        bars: int64 [frames], the bar of each frame.
        chords: int64 [bars], labels as in `bandtok.lm.chords`; `NO_CHORD` where nothing plays one,
            or it is no major or minor triad.
        key: label.
        bar_seconds: length of a bar; the first begins with frame 0.
        split: of the corpus.
    """

    codes: np.ndarray
    bars: np.ndarray
    chords: np.ndarray
    key: int
    bar_seconds: float
    split: str


def labeled_tokens(rendered: Path, shards: Path) -> list[LabeledTokens]:
    """Return the tonal pieces of a rendered corpus whose tokens are in `shards`.

    Raises:
        DataError: if the pieces are not what today's generator makes of their numbers.
    """
    corpus = TokenCorpus(shards)
    known = dict(_scores(rendered))
    found = []
    for shard in corpus.shards:
        score = known.get(shard.path)
        if score is None or shard.semitones or shard.start_seconds:
            continue
        codes = np.asarray(corpus.codes(shard)).T.astype(np.int64)
        seconds = (np.arange(len(codes)) + 0.5) * shard.frame_seconds
        bars = (seconds / score.bar_seconds).astype(np.int64)
        inside = bars < len(score.chords)
        found.append(
            LabeledTokens(
                codes=codes[inside],
                bars=bars[inside],
                chords=score.chords,
                key=score.key,
                bar_seconds=score.bar_seconds,
                split=shard.split,
            )
        )
    if not found:
        raise DataError(f"{shards} holds no tonal piece of {rendered}; expected its tokens")
    return found


@dataclass(frozen=True, kw_only=True)
class _Score:
    chords: np.ndarray
    key: int
    bar_seconds: float


def _scores(rendered: Path) -> Iterator[tuple[str, _Score]]:
    """Yield path and harmony of each tonal piece."""
    tunes = read_collections(fetch_tunes([rendered / "packages"]))
    file = rendered / PIECES_NAME
    pieces = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    styles = styles_named(sorted({Path(piece["track"]["path"]).parts[1] for piece in pieces}))
    for piece in pieces:
        plan = plan_piece(piece["seed"], piece["number"], styles)
        score = _score(piece, plan, tunes)
        if score is not None:
            yield piece["track"]["path"], score


def _score(piece: dict[str, Any], plan: Any, tunes: list[TuneEntry]) -> _Score | None:
    _, tune = choose_tune(plan, tunes)
    if f"{tune.title} ({tune.source})" != piece["tune"]:
        raise DataError(
            f"got piece {piece['seed']}-{piece['number']} of {piece['tune']!r}; expected "
            f"{tune.title!r}: the corpus is of another generator or another set of styles"
        )
    sounds = {layer.plays for layer in plan.layers}
    if not sounds or "chaos" in sounds:
        return None
    bars = Bars(tune, plan)
    labels = [_label(chord) if sounds & _SOUNDS_CHORDS else NO_CHORD for chord in bars.chords]
    return _Score(
        chords=np.array(labels),
        key=2 * ((tune.tonic + plan.transpose) % 12) + tune.minor,
        bar_seconds=bars.bar_seconds,
    )


def _label(chord: Chord) -> int:
    quality = _QUALITIES.get(((chord.third - chord.root) % 12, (chord.fifth - chord.root) % 12))
    return NO_CHORD if quality is None else 2 * chord.root + quality
