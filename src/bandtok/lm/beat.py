"""A beat clock beside the music: how many beats have passed at each frame, where that is known.

A language model by itself keeps no beat for long, as beats fall between frames. With a clock, each
position is told where in the beat its cell lies. Beats a minute come from the music in training,
and in generation from the user, or they are drawn as the text suggests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from bandtok.errors import ConfigError
from bandtok.lm.text_embeddings import TextEmbeddings
from bandtok.lm.text_pooling import AttentionPooling

SLOWEST_BPM, FASTEST_BPM = 40.0, 240.0
TEMPO_BINS = 48
"""Tempos that a text can suggest, each 3.8 % faster than the one before; one more stands for music
without a beat."""
_TEMPO_CLARITY = 2.0
_DIVISIONS = (1, 2, 3, 4)
_FEATURES, _INNER_DIM = 2 * len(_DIVISIONS) + 2, 64


@dataclass(frozen=True, kw_only=True)
class BeatGrid:
    """One row for each window or clip; stays on the CPU, where there is float64.

    Args:
        beats_per_frame: float [rows], 0 where no beat is known.
        beats: float [rows], beats that have passed when frame 0 begins.
    """

    beats_per_frame: Tensor
    beats: Tensor

    def __len__(self) -> int:
        return len(self.beats)

    @property
    def is_empty(self) -> bool:
        """Whether no row has a beat."""
        return not bool(self.beats_per_frame.any())

    @classmethod
    def of_tempos(cls, bpm: Tensor, frame_rate: float) -> BeatGrid:
        """Return clocks whose first beat is at frame 0; a tempo of 0 is none."""
        steps = bpm.double() / (60.0 * frame_rate)
        return cls(beats_per_frame=steps, beats=torch.zeros_like(steps))

    def at(self, frame: int) -> BeatGrid:
        """Return the clock as it is for a window that begins at a frame."""
        return BeatGrid(
            beats_per_frame=self.beats_per_frame, beats=self.beats + frame * self.beats_per_frame
        )

    def rows(self, indices: Sequence[int]) -> BeatGrid:
        """Return these rows, in this order."""
        chosen = list(indices)
        return BeatGrid(beats_per_frame=self.beats_per_frame[chosen], beats=self.beats[chosen])

    def only(self, wanted: Tensor) -> BeatGrid:
        """Return the clock with no beat but in the rows of a bool [rows] that are True."""
        return BeatGrid(beats_per_frame=self.beats_per_frame * wanted, beats=self.beats)


class BeatEmbedding(nn.Module):
    """Where in the beat each frame begins, as a part of the input.

    Args:
        model_dim: width of the input.
    """

    def __init__(self, model_dim: int) -> None:
        super().__init__()
        self.inner = nn.Linear(_FEATURES, _INNER_DIM)
        self.outer = nn.Linear(_INNER_DIM, model_dim, bias=False)
        nn.init.normal_(self.outer.weight, std=0.02 / math.sqrt(_INNER_DIM))

    def forward(self, clock: BeatGrid, num_frames: int) -> Tensor:
        """Return float [rows, num_frames, model_dim], 0 where there is no beat."""
        frames = torch.arange(num_frames)
        step = clock.beats_per_frame[:, None].double()
        beats = (clock.beats[:, None].double() + frames * step).remainder(1.0)
        turns = [2 * math.pi * part * beats for part in _DIVISIONS]
        waves = [wave(turn) for turn in turns for wave in (torch.sin, torch.cos)]
        known = (step > 0).expand_as(beats)
        pace = torch.where(known, step.clamp(min=1e-6).log(), 0.0)
        features = torch.stack((*waves, pace, known.double()), dim=2).to(self.inner.weight)
        heard: Tensor = self.outer(functional.silu(self.inner(features)))
        return heard * known[..., None].to(heard.device)


class TempoPredictor(nn.Module):
    """Which tempos a text suggests: its states -> float [rows, TEMPO_BINS + 1] logits.

    It reads the text by itself: what finds tempos in words would crowd out what finds instruments.

    Args:
        text_dim: width of the states.
    """

    def __init__(self, text_dim: int) -> None:
        super().__init__()
        self.text_pooling = AttentionPooling(text_dim, 1)
        self.inner = nn.Linear(self.text_pooling.out_dim, _INNER_DIM)
        self.outer = nn.Linear(_INNER_DIM, TEMPO_BINS + 1)

    def forward(self, text: TextEmbeddings) -> Tensor:
        scores: Tensor = self.outer(functional.silu(self.inner(self.text_pooling(text))))
        return scores


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
    """Return the beats a minute in the middle of a bin, 0 for the one without a beat."""
    if index >= TEMPO_BINS:
        return 0.0
    return float(SLOWEST_BPM * (FASTEST_BPM / SLOWEST_BPM) ** ((index + 0.5) / TEMPO_BINS))


def draw_tempo(scores: Tensor, generator: torch.Generator) -> float:
    """Draw beats a minute by float [TEMPO_BINS + 1] scores; 0 is no beat.

    What a text suggests little is drawn less still: who says "slow" never means fast.
    """
    chances = (_TEMPO_CLARITY * scores.double().cpu()).softmax(dim=0)
    return bin_tempo(int(torch.multinomial(chances, 1, generator=generator)))
