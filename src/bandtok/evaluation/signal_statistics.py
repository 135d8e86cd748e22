"""Statistics of a signal: level, onsets, change over time, silence.

    Audio -> level, onsets per second, movement, novelty, continuity, attack

Needs no pretrained network. Continuity and attack depend on the order of time, which embeddings of
a tagger hardly do: the first detects music whose moments were shuffled, the second music in
reverse.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bandtok.errors import AudioError
from bandtok.extras import require
from bandtok.signal.audio import Audio
from bandtok.signal.mel import LogMel, MelConfig

_SILENT_DBFS = -60.0
_LEAST_DBFS = -200.0
_BLOCK_SECONDS = 0.5
_RANGE = 6.9  # ln units (60 dB) below the loudest; what is softer is inaudible next to it
_MOMENT = 8  # mel frames, 93 ms
_LEAST_SPREAD = 1e-3
_STILL = 0.05  # ln units of change per mel frame; recorded music moves by several tenths


@dataclass(frozen=True, kw_only=True)
class SignalStatistics:
    """What is measured of one sound.

    Attributes:
        level_dbfs: root mean square in dB of full scale; -200 at least.
        silent_share: share of half seconds below -60 dBFS.
        onsets_per_second: starts of notes or beats.
        movement: mean change of the ln-mel, down to 60 dB below its loudest place, from one frame
            (12 ms) to the next.
        still_share: share of half seconds in which it moves by less than 0.05.
        continuity: 1 less the difference of neighboring tenths of a second over that of any two;
            0 if their order is random, 1 if nothing changes.
        attack: skewness of the change of the mean ln-mel from frame to frame: above 0 if sounds
            start faster than they end, below 0 backwards.
        novelty: mean difference of the ln-mels of two half seconds, anywhere in the sound, after
            averaging over each: 0 if the whole is one and the same.
    """

    level_dbfs: float
    silent_share: float
    onsets_per_second: float
    movement: float
    still_share: float
    continuity: float
    attack: float
    novelty: float

    @property
    def is_silent(self) -> bool:
        """Most of it is inaudible."""
        return self.silent_share > 0.5

    @property
    def is_frozen(self) -> bool:
        """Most of it does not change."""
        return self.still_share > 0.5


def measure_signal(audio: Audio) -> SignalStatistics:
    """Measure one sound of at least half a second.

    Raises:
        AudioError: if it is shorter.
    """
    config = MelConfig()
    sound = audio.mono()
    if sound.sample_rate != config.sample_rate:
        sound = sound.resampled(config.sample_rate)
    samples = sound.waveform[0]
    size = round(_BLOCK_SECONDS * config.sample_rate)
    if len(samples) < size:
        raise AudioError(f"got {len(samples)} samples; expected at least {size} (half a second)")
    blocks = samples[: len(samples) // size * size].reshape(-1, size).astype(np.float64)
    levels = _decibels(np.square(blocks).mean(axis=1))
    mel = LogMel(config)(samples)
    mel = np.maximum(mel, mel.max() - _RANGE)
    frames = min(mel.shape[1], round(_BLOCK_SECONDS * config.sample_rate / config.hop_length))
    by_block = mel[:, : mel.shape[1] // frames * frames].reshape(len(mel), -1, frames)
    changes = np.abs(np.diff(by_block, axis=2)).mean(axis=(0, 2))
    return SignalStatistics(
        level_dbfs=float(_decibels(np.square(samples.astype(np.float64)).mean())),
        silent_share=float((levels < _SILENT_DBFS).mean()),
        onsets_per_second=_onsets(mel, config) / (len(samples) / config.sample_rate),
        movement=float(np.abs(np.diff(mel, axis=1)).mean()),
        still_share=float((changes < _STILL).mean()),
        continuity=_continuity(mel),
        attack=_skewness(np.diff(mel.mean(axis=0))),
        novelty=_novelty(by_block.mean(axis=2)),
    )


def _onsets(mel: np.ndarray, config: MelConfig) -> int:
    strength = np.maximum(np.diff(mel, axis=1), 0).mean(axis=0)
    if strength.max() < _STILL:
        return 0
    found = require("librosa", "evaluate").onset.onset_detect(
        onset_envelope=strength, sr=config.sample_rate, hop_length=config.hop_length
    )
    return len(found)


def _continuity(mel: np.ndarray) -> float:
    moments = (
        mel[:, : mel.shape[1] // _MOMENT * _MOMENT].reshape(len(mel), -1, _MOMENT).mean(axis=2)
    )
    any_two = _novelty(moments)
    if not any_two:
        return 1.0
    return 1.0 - float(np.abs(np.diff(moments, axis=1)).mean()) / any_two


def _skewness(changes: np.ndarray) -> float:
    centered = changes.astype(np.float64) - changes.mean()
    spread = np.sqrt(np.square(centered).mean())
    if spread < _LEAST_SPREAD:
        return 0.0
    return float((centered**3).mean() / spread**3)


def _novelty(blocks: np.ndarray) -> float:
    """Return the mean absolute difference of two different columns of [bins, blocks]."""
    count = blocks.shape[1]
    if count < 2:
        return 0.0
    apart = np.abs(blocks[:, :, None] - blocks[:, None, :]).mean(axis=0)
    return float(apart.sum() / (count * (count - 1)))


def _decibels(power: np.ndarray) -> np.ndarray:
    result: np.ndarray = 10 * np.log10(np.maximum(power, 10 ** (_LEAST_DBFS / 10)))
    return result
