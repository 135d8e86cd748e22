"""A plan and its score to what is true of the piece, in words and numbers."""

from __future__ import annotations

from collections.abc import Mapping

from bandtok.data.segments import TONICS, Segment
from research.corpus.rendered.abc import Tune
from research.corpus.rendered.instruments import INSTRUMENTS
from research.corpus.rendered.plan import PiecePlan, style_named
from research.corpus.rendered.score import Score

_ENSEMBLES = {1: "solo", 2: "duet", 3: "trio", 4: "quartet"}
_SPARSE, _DENSE = 2.5, 12.0  # notes a second, all parts together
_DRY, _SPACIOUS = 0.2, 0.75
_BEAT_WORDS: Mapping[str, str] = {
    "four on the floor": "four-on-the-floor beat",
    "double kick": "double kick drums",
    "metal gallop": "galloping drums",
    "punk": "fast punk drums",
    "rock driving": "driving drums",
    "breakbeat": "breakbeat drums",
    "breakbeat busy": "breakbeat drums",
    "hand drums": "hand drums",
    "tribal": "tribal drums",
    "swing": "swinging drums",
    "march": "marching snare drum",
    "train beat": "train beat on the snare",
    "bossa nova": "bossa nova rhythm",
    "latin": "latin percussion",
    "disco": "disco beat",
    "techno": "techno beat",
    "funk": "funky drums",
    "chip noise": "chiptune drums",
    "slow beat": "slow beat",
    "jig": "jig rhythm",
    "waltz": "waltz rhythm",
}


def known_segment(
    plan: PiecePlan, score: Score, tune: Tune, seconds: float, loudness_db: float
) -> Segment:
    """Return all that is true of a rendered piece, as one segment over the whole of it."""
    tonal = all(layer.plays != "chaos" for layer in plan.layers) and bool(plan.layers)
    tonic = TONICS[(tune.tonic + plan.transpose) % 12]
    words = {
        "style": _styles(plan),
        "instrument": _instruments(plan),
        "feature": _features(plan),
        "texture": _texture(plan),
        "mood": _moods(plan, tune, tonal),
        "tempo": {plan.tempo: 1.0},
        "drums": {"drums" if plan.beat else "no drums": 1.0},
        "density": _density(len(score.notes) / score.seconds),
        "articulation": {"staccato": 1.0} if plan.staccato and _plays_tune(plan) else {},
        "room": _room(plan.room),
    }
    return Segment(
        start_seconds=0.0,
        end_seconds=round(seconds, 3),
        words={kind: found for kind, found in words.items() if found},
        bpm=plan.bpm if _keeps_time(plan) else None,
        bpm_weight=1.0 if _keeps_time(plan) else 0.0,
        beat_seconds=0.0 if _keeps_time(plan) else None,
        key=f"{tonic} {'minor' if tune.minor else 'major'}" if tonal else "",
        key_weight=1.0 if tonal else 0.0,
        meter=plan.meter if _keeps_time(plan) else "",
        loudness_db=round(loudness_db, 1),
    )


def _styles(plan: PiecePlan) -> dict[str, float]:
    words = style_named(plan.style).words
    return {word: 1.0 if place < 2 else 0.8 for place, word in enumerate(words)}


def _instruments(plan: PiecePlan) -> dict[str, float]:
    """Return the names of each player, the lead's surest; timbres far back less so."""
    found: dict[str, float] = {}
    for place, layer in enumerate(plan.layers):
        instrument = INSTRUMENTS[layer.instrument]
        weight = 1.0 if place == 0 else min(0.9, layer.level)
        for rank, word in enumerate(instrument.words):
            found.setdefault(word, round(weight * (1.0 if rank == 0 else 0.6), 2))
    return found


def _features(plan: PiecePlan) -> dict[str, float]:
    said = [layer.says for layer in plan.layers if layer.says]
    beat = _BEAT_WORDS.get(plan.beat)
    return dict.fromkeys([*said, *([beat] if beat else [])], 0.9)


def _texture(plan: PiecePlan) -> dict[str, float]:
    texture = style_named(plan.style).texture
    if texture in ("trio", "quartet"):
        count = len(plan.layers) + bool(plan.beat)
        texture = _ENSEMBLES.get(count, "ensemble")
    return {texture: 1.0} if texture else {}


def _moods(plan: PiecePlan, tune: Tune, tonal: bool) -> dict[str, float]:
    moods = dict.fromkeys(style_named(plan.style).moods, 0.6)
    calm = plan.tempo == "slow" and plan.dynamics != "loud"
    if calm and (not plan.beat or plan.dynamics == "soft"):
        moods.setdefault("calm", 0.8)
    if tonal and tune.minor and plan.tempo == "slow":
        moods.setdefault("sad", 0.6)
    if tonal and not tune.minor and plan.tempo == "fast" and plan.dynamics != "soft":
        moods.setdefault("happy", 0.6)
    if plan.tempo == "fast" and plan.dynamics == "loud":
        moods.setdefault("energetic", 0.8)
    if plan.dynamics == "soft" and "energetic" in moods:
        moods.pop("energetic")
    return moods


def _density(notes_per_second: float) -> dict[str, float]:
    if notes_per_second < _SPARSE:
        return {"sparse": 0.8}
    return {"busy": 0.8} if notes_per_second > _DENSE else {}


def _room(size: float) -> dict[str, float]:
    if size >= _SPACIOUS:
        return {"spacious": 0.7}
    return {"dry": 0.6} if size <= _DRY else {}


def _plays_tune(plan: PiecePlan) -> bool:
    return any(layer.plays == "melody" for layer in plan.layers)


def _keeps_time(plan: PiecePlan) -> bool:
    return bool(plan.beat) or any(
        layer.plays not in ("chaos", "pad") and layer.how != "drone" for layer in plan.layers
    )
