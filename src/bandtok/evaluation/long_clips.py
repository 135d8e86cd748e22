"""Long clips: the end compared with the beginning.

    Audio -> ClipDrift;  list of ClipDrift -> SetDrift

A model that writes window after window can drift in level, spectrum or tempo, or repeat itself.
Real music changes too, so compare clips with real music of the same length.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bandtok.api.tokenizer import Tokenizer
from bandtok.data.audio_features import FEATURES_SAMPLE_RATE, extract_features
from bandtok.signal.audio import Audio

LEAST_SECONDS = 20.0
"""A clip shorter than this has no end that is apart from its beginning."""
LEVEL_DRIFT_DB, TEMPO_DRIFT = 3.0, 0.04
_LEVEL_SECONDS, _SPECTRUM_SECONDS, _TEMPO_SECONDS = 5.0, 10.0, 20.0
_CLEAR_PULSE = 0.3
_FULL_SCALE = 1.0 - 2.0**-15
_LEAST_POWER = 1e-20
_N_FFT = 4096


@dataclass(frozen=True, kw_only=True)
class ClipDrift:
    """The end of one clip compared with its beginning.

    Attributes:
        level_db: root mean square of the last 5 s over that of the first 5 s, dB.
        centroid_octaves: spectral centroid of the last 10 s over that of the first 10 s, octaves.
        similarity: cosine of the mean embeddings of the first and the last 10 s.
        tempo: by which share the tempo of the last 20 s (half the clip, if that is less) differs
            from that of the first, octaves left aside; None without a clear pulse in both.
        clipped_share: share of samples at full scale or above.
    """

    level_db: float
    centroid_octaves: float
    similarity: float
    tempo: float | None
    clipped_share: float


@dataclass(frozen=True, kw_only=True)
class SetDrift:
    """A set of clips; see `ClipDrift`.

    Attributes:
        clips: how many were long enough.
        level_db, centroid_octaves: medians of the absolute values.
        level_kept: share of clips whose level differs by at most 3 dB.
        centroid_octaves_high: what 90 % of the clips stay below, absolute.
        similarity: median.
        tempo_kept: share of the clips with a clear pulse whose tempo differs by at most 4 %; None
            if there are none.
        pulses: clips with a clear pulse at both ends.
        clipped: clips with any sample at full scale.
    """

    clips: int
    level_db: float
    level_kept: float
    centroid_octaves: float
    centroid_octaves_high: float
    similarity: float
    tempo_kept: float | None
    pulses: int
    clipped: int


def clip_drift(audio: Audio, embed: Callable[[Audio], np.ndarray]) -> ClipDrift | None:
    """Compare the ends of one clip; None if it is shorter than 20 s.

    Args:
        audio: any rate and number of channels.
        embed: what makes embeddings [windows, dim] of a part.
    """
    sound = audio.mono()
    if sound.seconds < LEAST_SECONDS:
        return None
    first, last = _ends(sound, _SPECTRUM_SECONDS)
    one, other = (embed(part).mean(axis=0).astype(np.float64) for part in (first, last))
    norm = float(np.linalg.norm(one) * np.linalg.norm(other))
    softer, louder = (_power(part) for part in _ends(sound, _LEVEL_SECONDS))
    return ClipDrift(
        level_db=10 * math.log10(louder / softer),
        centroid_octaves=math.log2(_centroid(last) / _centroid(first)),
        similarity=float(one @ other) / norm if norm else 0.0,
        tempo=_tempo_drift(*_ends(sound, min(_TEMPO_SECONDS, sound.seconds / 2))),
        clipped_share=clipped_share(audio.waveform),
    )


def clipped_share(waveform: np.ndarray) -> float:
    """Return the share of samples at full scale or above."""
    return float((np.abs(waveform) >= _FULL_SCALE).mean()) if waveform.size else 0.0


def before_limiter(
    drift: ClipDrift | None, clip: Path, tokenizer: Tokenizer | None
) -> ClipDrift | None:
    """Return the drift with the clipped share of what the tokens beside a clip decode to.

    That is the level before any gain or limiter. As it is if there are no tokens (.btk).
    """
    tokens = clip.with_suffix(".btk")
    if drift is None or tokenizer is None or not tokens.is_file():
        return drift
    return replace(drift, clipped_share=clipped_share(tokenizer.decode(tokens).waveform))


def set_drift(drifts: Sequence[ClipDrift | None]) -> SetDrift | None:
    """Sum up a set of clips; None if none was long enough."""
    found = [drift for drift in drifts if drift is not None]
    if not found:
        return None
    levels = np.abs([drift.level_db for drift in found])
    centroids = np.abs([drift.centroid_octaves for drift in found])
    tempos = [drift.tempo for drift in found if drift.tempo is not None]
    return SetDrift(
        clips=len(found),
        level_db=float(np.median(levels)),
        level_kept=float((levels <= LEVEL_DRIFT_DB).mean()),
        centroid_octaves=float(np.median(centroids)),
        centroid_octaves_high=float(np.quantile(centroids, 0.9)),
        similarity=float(np.median([drift.similarity for drift in found])),
        tempo_kept=float((np.array(tempos) <= TEMPO_DRIFT).mean()) if tempos else None,
        pulses=len(tempos),
        clipped=sum(drift.clipped_share > 0 for drift in found),
    )


def _ends(audio: Audio, seconds: float) -> tuple[Audio, Audio]:
    samples = round(seconds * audio.sample_rate)
    waveform = audio.waveform
    return (
        Audio(waveform[:, :samples], audio.sample_rate),
        Audio(waveform[:, -samples:], audio.sample_rate),
    )


def _power(audio: Audio) -> float:
    return max(float(np.square(audio.waveform.astype(np.float64)).mean()), _LEAST_POWER)


def _centroid(audio: Audio) -> float:
    """Return the mean frequency in Hz, weighted with amplitude."""
    samples = audio.waveform[0]
    frames = samples[: len(samples) // _N_FFT * _N_FFT].reshape(-1, _N_FFT)
    amplitudes = np.abs(np.fft.rfft(frames * np.hanning(_N_FFT), axis=1)).mean(axis=0)
    hertz = np.fft.rfftfreq(_N_FFT, 1 / audio.sample_rate)
    total = float(amplitudes.sum())
    return max(float(hertz @ amplitudes) / total, 1.0) if total else 1.0


def _tempo_drift(first: Audio, last: Audio) -> float | None:
    features = [
        extract_features(part.resampled(FEATURES_SAMPLE_RATE).waveform[0]) for part in (first, last)
    ]
    one, other = features
    if one is None or other is None or min(one.pulse, other.pulse) < _CLEAR_PULSE:
        return None
    octaves = math.log2(other.bpm / one.bpm)
    return float(2 ** abs(octaves - round(octaves)) - 1)
