"""A waveform to what can be measured of its music: pace, key, loudness, brightness, drums.

Plain signal analysis on one spectrogram; knows no words and no corpus. Thresholds that turn these
numbers into words lie in `describe`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bandtok.extras import missing
from bandtok.signal.mel_filters import mel_frequencies

try:
    import librosa
except ImportError as error:
    raise missing(error, "data") from None

FEATURES_SAMPLE_RATE = 22_050
_N_FFT, _HOP_LENGTH = 2048, 512
_N_MELS = 64
_FRAME_RATE = FEATURES_SAMPLE_RATE / _HOP_LENGTH
_BRIGHT_HZ, _CYMBAL_HZ = 3000.0, 6000.0
_SLOWEST_BPM, _FASTEST_BPM = 45.0, 200.0
# Krumhansl and Kessler, 1982: how well each pitch class fits a major and a minor key.
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
_DYNAMIC_RANGE_DB = 60.0
_BEAT_PHASES = 48
_BEAT_WINDOW = np.hanning(7) / np.hanning(7).sum()


@dataclass(frozen=True, kw_only=True)
class AudioFeatures:
    """What was measured.

    Attributes:
        bpm: likeliest beats per minute; may be half or twice what a person taps.
        pulse: 0 to 1, how regular the pulse is.
        beat_seconds: when the first beat of that pulse is.
        onsets_per_second: notes and strokes that begin.
        tonic: pitch class, 0 for C; minor: the mode.
        key_clearness: how much better this key fits than any other with other notes, 0 to about 1.
        loudness_db: root mean square of what sounds.
        high_share_db: power above 3 kHz relative to all of it.
        strokes: mean rise above 6 kHz from frame to frame, in dB: cymbals and snares.
        strike: how much of the sharpest rises is in all bands at once, in dB.
    """

    bpm: float
    pulse: float
    beat_seconds: float
    onsets_per_second: float
    tonic: int
    minor: bool
    key_clearness: float
    loudness_db: float
    high_share_db: float
    strokes: float
    strike: float


def extract_features(waveform: np.ndarray) -> AudioFeatures | None:
    """Measure mono samples [samples] at 22.05 kHz; None for silence and for less than a second."""
    if len(waveform) < FEATURES_SAMPLE_RATE or float(np.abs(waveform).max()) < 1e-4:
        return None
    power = np.abs(librosa.stft(waveform, n_fft=_N_FFT, hop_length=_HOP_LENGTH)) ** 2
    frequencies = np.fft.rfftfreq(_N_FFT, 1 / FEATURES_SAMPLE_RATE)
    mel = librosa.feature.melspectrogram(S=power, sr=FEATURES_SAMPLE_RATE, n_mels=_N_MELS)
    level = librosa.power_to_db(mel, ref=np.max, top_db=_DYNAMIC_RANGE_DB)
    rise = np.maximum(np.diff(level, axis=1), 0.0)
    envelope = np.pad(rise.mean(axis=0), (1, 0))
    bpm, pulse = _tempo(envelope)
    tonic, minor, clearness = _key(power)
    mel_hz = mel_frequencies(_N_MELS, 0.0, FEATURES_SAMPLE_RATE / 2)
    total = power.sum()
    high = power[frequencies > _BRIGHT_HZ].sum()
    return AudioFeatures(
        bpm=bpm,
        pulse=pulse,
        beat_seconds=_first_beat(envelope, bpm),
        onsets_per_second=_onsets(envelope) / (len(waveform) / FEATURES_SAMPLE_RATE),
        tonic=tonic,
        minor=minor,
        key_clearness=clearness,
        loudness_db=_loudness(waveform),
        high_share_db=10 * math.log10(float(high / total) + 1e-9),
        strokes=float(rise[mel_hz > _CYMBAL_HZ].mean()),
        strike=float(np.quantile(np.quantile(rise, 0.25, axis=0), 0.97)),
    )


def _tempo(envelope: np.ndarray) -> tuple[float, float]:
    """Return beats per minute and how regular they are, from the envelope's autocorrelation."""
    centered = envelope - envelope.mean()
    size = 2 * len(centered)
    spectrum = np.abs(np.fft.rfft(centered, size)) ** 2
    correlation = np.fft.irfft(spectrum)[: len(centered)]
    correlation = correlation / (correlation[0] + 1e-12)
    lags = np.arange(1, len(correlation))
    candidates = 60.0 * _FRAME_RATE / lags
    inside = (candidates >= _SLOWEST_BPM) & (candidates <= _FASTEST_BPM)
    if not inside.any():
        return 120.0, 0.0
    # A lag whose multiples agree too is a beat rather than a division of one.
    support = correlation.copy()
    for multiple in (2, 4):
        reach = len(correlation) // multiple
        support[:reach] += 0.5 * correlation[: reach * multiple : multiple]
    tempo_prior = np.exp(-0.5 * (np.log2(candidates / 112.0) / 0.9) ** 2)
    scores = np.where(inside, support[1:] * tempo_prior, -np.inf)
    best = int(np.argmax(scores)) + 1
    exact = best + _peak_offset(support, best)
    return 60.0 * _FRAME_RATE / exact, float(np.clip(correlation[best], 0.0, 1.0))


def _first_beat(envelope: np.ndarray, bpm: float) -> float:
    """Return when the first beat is, in seconds: where a comb of beats meets most of the onsets."""
    period = 60.0 * _FRAME_RATE / bpm
    smooth = np.convolve(envelope, _BEAT_WINDOW, mode="same")
    phases = np.arange(_BEAT_PHASES) / _BEAT_PHASES
    beats = np.arange(max(1, int(len(smooth) / period)))
    frames = (phases[:, None] + beats) * period
    met = np.interp(frames, np.arange(len(smooth)), smooth).mean(axis=1)
    return float(phases[np.argmax(met)] * period / _FRAME_RATE)


def _peak_offset(values: np.ndarray, index: int) -> float:
    """Return how far from `index` the parabola through its neighbors has its top."""
    if not 0 < index < len(values) - 1:
        return 0.0
    before, here, after = values[index - 1 : index + 2]
    bend = before - 2 * here + after
    return float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else 0.0


def _key(power: np.ndarray) -> tuple[int, bool, float]:
    chroma = librosa.feature.chroma_stft(S=power, sr=FEATURES_SAMPLE_RATE, tuning=0.0).mean(axis=1)
    fits = np.array(
        [
            [np.corrcoef(chroma, np.roll(profile, tonic))[0, 1] for tonic in range(12)]
            for profile in (_MAJOR, _MINOR)
        ]
    )
    if not np.isfinite(fits).all():
        return 0, False, 0.0
    mode, tonic = np.unravel_index(int(np.argmax(fits)), fits.shape)
    others = fits.copy()
    others[mode, tonic] = -1
    return int(tonic), bool(mode), float(max(fits[mode, tonic] - others.max(), 0.0))


def _onsets(envelope: np.ndarray) -> int:
    peaks = librosa.util.peak_pick(
        envelope, pre_max=2, post_max=2, pre_avg=8, post_avg=8, delta=0.6, wait=3
    )
    return len(peaks)


def _loudness(waveform: np.ndarray) -> float:
    """Return the root mean square in dB of the stretches within 30 dB of the loudest."""
    blocks = waveform[: len(waveform) // 2048 * 2048].reshape(-1, 2048).astype(np.float64)
    means = (blocks**2).mean(axis=1)
    return 10 * math.log10(float(means[means >= means.max() * 1e-3].mean()) + 1e-12)
