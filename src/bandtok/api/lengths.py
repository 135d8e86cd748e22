"""How long a clip is: seconds, or whole bars at its tempo.

The frames of a loop are whole, so its model tempo is the nearest one at which its bars fall on
frames; its samples are those of the tempo asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from numbers import Real

from bandtok.api.generation_config import GenerationConfig
from bandtok.api.tokenizer import Tokenizer
from bandtok.errors import ConfigError
from bandtok.lm.beat import FASTEST_BPM, SLOWEST_BPM

MAX_DURATION_SECONDS = 3600.0
MIN_BARS_SECONDS = 1.0
BARS_BPM = 120.0
"""Tempo of bars where nothing suggests another."""


@dataclass(frozen=True, kw_only=True)
class ClipLength:
    """Length of new music.

    Attributes:
        num_frames: to generate.
        num_samples: of its audio.
        bpm: of the beat grid; as in `CodeRequest`.
        settings: what the record of the clip says of it.
    """

    num_frames: int
    num_samples: int
    bpm: float | None
    settings: dict[str, object] = field(default_factory=dict)


def check_seconds(seconds: object) -> None:
    """Raise ConfigError unless a duration is a number above 0 and at most an hour."""
    number = isinstance(seconds, Real) and not isinstance(seconds, bool)
    if not number or not 0 < seconds <= MAX_DURATION_SECONDS:  # type: ignore[operator]
        raise ConfigError(
            f"got a duration of {seconds} s; "
            f"expected more than 0 and at most {MAX_DURATION_SECONDS:.0f} s"
        )


def length_in_seconds(seconds: float, bpm: float | None, tokenizer: Tokenizer) -> ClipLength:
    """Return the length of a clip of some seconds."""
    samples = max(round(seconds * tokenizer.sample_rate), 1)
    return ClipLength(
        num_frames=math.ceil(samples / tokenizer.samples_per_frame),
        num_samples=samples,
        bpm=bpm,
        settings={"duration_seconds": seconds, "bpm": bpm},
    )


def length_in_bars(
    config: GenerationConfig, seconds: float, suggested_bpm: float, tokenizer: Tokenizer
) -> ClipLength:
    """Return the length of a clip of whole bars.

    Args:
        config: bars, meter, loop and bpm. A loop without a number of bars has that power of two
            whose length is nearest to `seconds`.
        seconds: see above.
        suggested_bpm: the tempo if `config` names none.
        tokenizer: of the clip.

    Raises:
        ConfigError: if the bars last less than a second or more than an hour.
    """
    bpm = config.bpm or suggested_bpm
    bar_seconds = 60 * config.beats_per_bar / bpm
    bars = config.bars or 2 ** max(round(math.log2(seconds / bar_seconds)), 0)
    if not MIN_BARS_SECONDS <= bars * bar_seconds <= MAX_DURATION_SECONDS:
        raise ConfigError(
            f"got {bars} bars of {config.meter} at {bpm:g} beats per minute, "
            f"{bars * bar_seconds:.2f} s; expected {MIN_BARS_SECONDS:.0f} to "
            f"{MAX_DURATION_SECONDS:.0f} s"
        )
    size = tokenizer.samples_per_frame
    beats, samples = bars * config.beats_per_bar, round(bars * bar_seconds * tokenizer.sample_rate)
    frames, grid_bpm = math.ceil(samples / size), bpm
    if config.loop:
        frame_beats = 60 * tokenizer.frame_rate * beats
        # The nearest number of frames at which the model keeps the tempo.
        fewest, most = math.ceil(frame_beats / FASTEST_BPM), int(frame_beats / SLOWEST_BPM)
        frames = min(max(round(frame_beats / bpm), fewest), most)
        grid_bpm = frame_beats / frames
        if config.bpm is None:
            bpm, samples = grid_bpm, frames * size
    return ClipLength(
        num_frames=frames,
        num_samples=samples,
        bpm=grid_bpm,
        settings={"bars": bars, "bpm": bpm, "duration_seconds": samples / tokenizer.sample_rate},
    )
