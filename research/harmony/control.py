"""Do clips have the chords and the key that were asked for? Judged by their sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bandtok.api.clip import Clip
from bandtok.api.generation_config import GenerationConfig
from bandtok.api.music_model import MusicModel
from bandtok.evaluation.statistics import Estimate, bootstrap_mean
from bandtok.lm.chords import NUM_LABELS, key_name, label_name
from research.harmony.judge import TaughtJudge, spectra_of_bars

_PROGRESSIONS = (((0, 0), (9, 1), (5, 0), (7, 0)), ((0, 0), (5, 0), (7, 0), (0, 0)))
_MINOR_PROGRESSIONS = (((0, 1), (8, 0), (3, 0), (10, 0)), ((0, 1), (5, 1), (7, 1), (0, 1)))
_TEMPOS = (80, 90, 100, 110, 120, 130)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a clip is asked for.

    Attributes:
        prompt, seed, bpm: of the clip.
        key: label.
        chords: labels, one per bar.
    """

    prompt: str
    seed: int
    bpm: float
    key: int
    chords: tuple[int, ...]


def draw_wishes(prompts: Sequence[str], seed: int) -> list[Wish]:
    """Draw a key, a progression in it and a tempo for each prompt."""
    rng = np.random.default_rng(seed)
    wishes = []
    for number, prompt in enumerate(prompts):
        key = int(rng.integers(NUM_LABELS))
        known = _MINOR_PROGRESSIONS if key % 2 else _PROGRESSIONS
        steps = known[int(rng.integers(len(known)))]
        chords = tuple(2 * ((key // 2 + up) % 12) + minor for up, minor in steps)
        bpm = float(rng.choice(_TEMPOS))
        wishes.append(Wish(prompt=prompt, seed=seed + number, bpm=bpm, key=key, chords=chords))
    return wishes


@dataclass(frozen=True, kw_only=True)
class Followed:
    """Means over clips: right chords and roots among their bars; right keys and tonics."""

    chord: Estimate
    root: Estimate
    key: Estimate
    tonic: Estimate
    bars: int


def generate_wishes(
    model: MusicModel,
    wishes: Sequence[Wish],
    *,
    kind: str,
    seconds: float,
    config: GenerationConfig,
) -> Iterator[tuple[Wish, Clip]]:
    """Generate a clip per wish.

    Args:
        model: the model.
        wishes: what is asked for.
        kind: "chords", "key" or "neither": which of the two is passed on.
        seconds: length of a clip.
        config: the rest.
    """
    for wish in wishes:
        asked: dict[str, str] = {}
        if kind == "chords":
            asked["chords"] = " ".join(label_name(label) for label in wish.chords)
        elif kind == "key":
            asked["key"] = key_name(wish.key)
        yield wish, model.generate(wish.prompt, seconds, wish.seed, config, bpm=wish.bpm, **asked)  # type: ignore[misc]


def judge_clips(
    pairs: Iterator[tuple[Wish, Clip]],
    chords: TaughtJudge,
    keys: TaughtJudge,
    on_clip: Callable[[int], None],
) -> Followed:
    """Judge clips by their sound."""
    right, roots, exact, tonics, bars = [], [], [], [], 0
    for number, (wish, clip) in enumerate(pairs):
        waveform = clip.audio.waveform.mean(axis=0)
        spectra = spectra_of_bars(waveform, clip.audio.sample_rate, 240 / wish.bpm)
        wanted = np.array([wish.chords[bar % len(wish.chords)] for bar in range(len(spectra))])
        found = chords(spectra)
        right.append(float((found == wanted).mean()))
        roots.append(float((found // 2 == wanted // 2).mean()))
        bars += len(found)
        key = int(keys(spectra.mean(axis=0, keepdims=True))[0])
        exact.append(float(key == wish.key))
        tonics.append(float(key // 2 == wish.key // 2))
        on_clip(number + 1)
    return Followed(
        chord=bootstrap_mean(right),
        root=bootstrap_mean(roots),
        key=bootstrap_mean(exact),
        tonic=bootstrap_mean(tonics),
        bars=bars,
    )
