"""Chords and keys: a classifier over tokens, and sampling that it guides.

The classifier is additive: its logits for a passage are the sums of those of its tokens, each of
which depends on band and code alone. So what a code says about a chord is a table, and sampling is
guided by adding to the scores of codes what they say for the chord that is wanted. Neither the
language model nor its training knows of it. Source: guidance by a classifier (2105.05233), of
tokens (2104.05218).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bandtok.errors import ConfigError
from bandtok.lm.beat import BeatGrid
from bandtok.lm.chords import NO_CHORD, NUM_LABELS


@dataclass(frozen=True, kw_only=True)
class HarmonyConfig:
    """Shape of a harmony classifier.

    Attributes:
        num_bands, codebook_size: of the grids.
        tokenizer_fingerprint: of the tokenizer whose codes were learned; "" if unknown.
        code_dim: width of the code vectors.
        hidden_dim: inner width, in each band.
    """

    num_bands: int = 16
    codebook_size: int = 4096
    tokenizer_fingerprint: str = ""
    code_dim: int = 16
    hidden_dim: int = 64

    def __post_init__(self) -> None:
        for name in ("num_bands", "codebook_size", "code_dim", "hidden_dim"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"got {name} {getattr(self, name)}; expected more than 0")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> HarmonyConfig:
        """Read what `to_dict` wrote."""
        return cls(**values)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return zeros of the shapes of the weights, by name, without memory of their own."""
        shapes = {
            "code_vectors": (self.codebook_size, self.code_dim),
            "inner_weight": (self.num_bands, self.code_dim, self.hidden_dim),
            "inner_bias": (self.num_bands, 1, self.hidden_dim),
            "outer_weight": (self.num_bands, self.hidden_dim, 2 * NUM_LABELS),
        }
        return {name: np.broadcast_to(0.0, shape) for name, shape in shapes.items()}


DEBUG_HARMONY = HarmonyConfig(codebook_size=64, code_dim=4, hidden_dim=4)


class HarmonyClassifier:
    """What tokens say about chords and keys.

    Args:
        config: its shape.
        weights: by name, as in `HarmonyConfig.arrays`.
    """

    def __init__(self, config: HarmonyConfig, weights: Mapping[str, np.ndarray]) -> None:
        self.config, self._weights = config, weights

    @cached_property
    def scores(self) -> np.ndarray:
        """Logits of chords (0) and keys (1), float32 [2, NUM_LABELS, bands, codes]; the mean of all
        labels is 0.
        """
        weights = self._weights
        inner = weights["code_vectors"] @ weights["inner_weight"] + weights["inner_bias"]
        scores = np.tanh(inner) @ weights["outer_weight"]
        scores = scores.reshape(*scores.shape[:2], 2, NUM_LABELS)
        scores -= scores.mean(axis=3, keepdims=True)
        return np.ascontiguousarray(scores.transpose(2, 3, 0, 1))

    def chord_logits(self, codes: np.ndarray) -> np.ndarray:
        """Return logits of the chord of each frame, float32 [NUM_LABELS, frames].

        Those of a passage are their sum.

        Args:
            codes: int [bands, frames].
        """
        return self._logits(0, codes)

    def key_logits(self, codes: np.ndarray) -> np.ndarray:
        """Return logits of keys, float32 [NUM_LABELS, frames]; see `chord_logits`."""
        return self._logits(1, codes)

    def _logits(self, kind: int, codes: np.ndarray) -> np.ndarray:
        bands = np.arange(self.config.num_bands)[:, None]
        result: np.ndarray = self.scores[kind][:, bands, codes].sum(axis=1)
        return result


@dataclass(frozen=True, kw_only=True)
class HarmonyTarget:
    """The chords and the key that codes are sampled for.

    Attributes:
        classifier: knows the codes.
        chords: int [frames], the label of the chord of each frame, `NO_CHORD` for none.
        key: label of the key, which counts where there is no chord; None for none.
        scale: how strongly it counts; 0 is not at all.
    """

    classifier: HarmonyClassifier
    chords: np.ndarray
    key: int | None
    scale: float

    def bias(self, frame: int, band: int) -> np.ndarray | float:
        """Return what is added to the scores of a cell's codes: float32 [codebook_size], or 0."""
        scores, chord = self.classifier.scores, int(self.chords[frame])
        if chord != NO_CHORD:
            wanted: np.ndarray = self.scale * scores[0, chord, band]
            return wanted
        return 0.0 if self.key is None else self.scale * scores[1, self.key, band]


def chords_of_frames(
    chords: Sequence[int], beat: BeatGrid, beats_per_bar: int, num_frames: int
) -> np.ndarray:
    """Return the label of the chord in the middle of each frame, int64 [num_frames].

    Args:
        chords: one per bar, again and again; none for no chord anywhere.
        beat: one row, with a beat if there are chords; bars begin at beat 0.
        beats_per_bar: of the meter.
        num_frames: from frame 0 on.
    """
    if not chords:
        return np.full(num_frames, NO_CHORD)
    beats = beat.beats[0] + (np.arange(num_frames) + 0.5) * beat.beats_per_frame[0]
    bars = np.floor(beats / beats_per_bar).astype(np.int64)
    labels: np.ndarray = np.asarray(chords, np.int64)[bars % len(chords)]
    return labels
