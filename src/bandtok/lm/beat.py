"""The beat grid: how many beats have passed at each frame, where that is known.

A language model by itself keeps no beat for long, as beats fall between frames. With a beat grid,
the input of each position says where in the beat its cell lies. Beats per minute come from the
music in training, and in generation from the user, or they are sampled to suit the text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bandtok.errors import ConfigError

SLOWEST_BPM, FASTEST_BPM = 40.0, 240.0
TEMPO_BINS = 48
"""Tempos that a text can suggest, each 3.8 % faster than the one before; one more is for music
without a beat."""
_TEMPO_CLARITY = 2.0
_DIVISIONS = (1, 2, 3, 4)
BEAT_FEATURES = 2 * len(_DIVISIONS) + 2
"""Sines and cosines of the position in a beat and its divisions, the log of the tempo, and whether
there is a beat."""


@dataclass(frozen=True, kw_only=True)
class BeatGrid:
    """One row per window or clip.

    Args:
        beats_per_frame: float64 [rows], 0 where no beat is known.
        beats: float64 [rows], beats that have passed when frame 0 begins.
    """

    beats_per_frame: np.ndarray
    beats: np.ndarray

    def __len__(self) -> int:
        return len(self.beats)

    @property
    def is_empty(self) -> bool:
        """Whether no row has a beat."""
        return not bool(self.beats_per_frame.any())

    @classmethod
    def of_tempos(cls, bpm: Sequence[float], frame_rate: float) -> BeatGrid:
        """Return grids whose first beat is at frame 0; a tempo of 0 is none."""
        steps = np.asarray(bpm, np.float64) / (60.0 * frame_rate)
        return cls(beats_per_frame=steps, beats=np.zeros_like(steps))

    def at(self, frame: int) -> BeatGrid:
        """Return the grid as it is for a window that begins at a frame."""
        return BeatGrid(
            beats_per_frame=self.beats_per_frame, beats=self.beats + frame * self.beats_per_frame
        )

    def rows(self, indices: Sequence[int]) -> BeatGrid:
        """Return these rows, in this order."""
        chosen = list(indices)
        return BeatGrid(beats_per_frame=self.beats_per_frame[chosen], beats=self.beats[chosen])

    def only(self, wanted: np.ndarray) -> BeatGrid:
        """Return the grid with no beat but in the rows of a bool [rows] that are True."""
        return BeatGrid(beats_per_frame=self.beats_per_frame * wanted, beats=self.beats)

    def features(self, num_frames: int) -> np.ndarray:
        """Return where in the beat each frame begins, float32 [rows, num_frames, BEAT_FEATURES].

        The last one is 1 where there is a beat, else 0.
        """
        step = self.beats_per_frame[:, None]
        beats = (self.beats[:, None] + np.arange(num_frames) * step) % 1.0
        angles = [2 * math.pi * division * beats for division in _DIVISIONS]
        waves = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
        known = np.broadcast_to(step > 0, beats.shape)
        pace = np.where(known, np.log(step.clip(min=1e-6)), 0.0)
        return np.stack((*waves, pace, known), axis=2).astype(np.float32)


def check_tempo(bpm: float) -> None:
    """Raise ConfigError if a tempo is neither 0 (no beat) nor from 40 to 240 beats per minute."""
    if bpm != 0 and not SLOWEST_BPM <= bpm <= FASTEST_BPM:
        raise ConfigError(
            f"got {bpm} beats per minute; expected {SLOWEST_BPM:.0f} to {FASTEST_BPM:.0f}, or 0 "
            "for no beat"
        )


def tempo_bin(bpm: float) -> int:
    """Return which bin a tempo belongs to; `TEMPO_BINS`, the one after all, for 0."""
    if bpm <= 0:
        return TEMPO_BINS
    octaves = math.log(bpm / SLOWEST_BPM) / math.log(FASTEST_BPM / SLOWEST_BPM)
    return min(max(int(octaves * TEMPO_BINS), 0), TEMPO_BINS - 1)


def bin_tempo(index: int) -> float:
    """Return the beats per minute in the middle of a bin, 0 for the one without a beat."""
    if index >= TEMPO_BINS:
        return 0.0
    return float(SLOWEST_BPM * (FASTEST_BPM / SLOWEST_BPM) ** ((index + 0.5) / TEMPO_BINS))


def sample_tempo(scores: np.ndarray, rng: np.random.Generator) -> float:
    """Sample beats per minute from float [TEMPO_BINS + 1] scores; 0 is no beat.

    What a text hardly suggests is sampled less often still: "slow" never means fast.
    """
    logits = _TEMPO_CLARITY * scores.astype(np.float64)
    cumulative = np.exp(logits - logits.max()).cumsum()
    place = np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right")
    return bin_tempo(min(int(place), TEMPO_BINS))
