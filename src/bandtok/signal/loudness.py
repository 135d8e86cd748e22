"""Integrated loudness after Recommendation ITU-R BS.1770-4, and normalization to a target.

    waveform [channels, samples] -> LUFS          audio -> audio at a target loudness

Loudness is the mean square of the K-weighted signal over blocks of 400 ms that overlap by 75 %,
gated at -70 LUFS and at 10 LU below the mean of the blocks that are left.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from bandtok.errors import AudioError, ConfigError
from bandtok.signal.true_peak import Limiter, limit_true_peak, true_peak_dbfs

if TYPE_CHECKING:
    from bandtok.signal.audio import Audio

TARGET_LUFS = -16.0
MAX_TRUE_PEAK_DBFS = -1.0
MAX_GAIN_DB = 40.0
"""A recording is made louder by at most this much."""
MAX_LIMITING_DB = 12.0
"""Peaks are lowered by at most this much; rather than more, loudness stays below the target."""
MAX_STREAM_GAIN_DB = 20.0
"""As MAX_GAIN_DB where only the beginning is known: what follows may be much louder."""
_LOUDNESS_RANGE_LUFS = (-60.0, 0.0)
_ABSOLUTE_GATE_LUFS, _RELATIVE_GATE_LU = -70.0, -10.0
_OFFSET_DB = -0.691
_STEPS_PER_SECOND, _STEPS_PER_BLOCK = 10, 4
_DECAY_SECONDS = 0.5  # the K filter falls by e^-119 in half a second
_CHANNEL_WEIGHTS = {5: (1.0, 1.0, 1.0, 1.41, 1.41), 6: (1.0, 1.0, 1.0, 0.0, 1.41, 1.41)}
_CORRECTIONS, _CLOSE_LU = 4, 0.1
_MEASURED_SECONDS, _GLIDE_DB_PER_SECOND = 12, 1.0


def integrated_loudness(waveform: np.ndarray, sample_rate: int) -> float:
    """Return the gated loudness of a whole waveform.

    Args:
        waveform: float [channels, samples]. Five channels are taken for L R C Ls Rs and six for
            L R C LFE Ls Rs; channels of any other number count equally.
        sample_rate: Hz.

    Returns:
        LUFS (LKFS); -inf if no block is louder than -70 LUFS. What is shorter than a block of
        400 ms is one block.

    Raises:
        AudioError: if the shape is wrong or a sample is not finite.
    """
    blocks = _block_powers(waveform, sample_rate)
    loud = blocks[blocks > _power(_ABSOLUTE_GATE_LUFS)]
    if loud.size:
        loud = loud[loud > loud.mean() * 10 ** (_RELATIVE_GATE_LU / 10)]
    return _lufs(float(loud.mean())) if loud.size else float("-inf")


def normalize_loudness(
    audio: Audio,
    target_lufs: float = TARGET_LUFS,
    max_true_peak_dbfs: float = MAX_TRUE_PEAK_DBFS,
) -> Audio:
    """Bring audio to a loudness by one gain, and limit what then exceeds a true peak.

    The gain makes up for what the limiter takes away. It is at most 40 dB, and at most so much
    that the limiter lowers peaks by 12 dB: sparse clicks and very quiet recordings stay quieter
    than the target. What lies below the absolute gate of -70 LUFS (silence) is not amplified.

    Args:
        audio: any number of channels, any rate.
        target_lufs: integrated loudness, -60 to 0 LUFS.
        max_true_peak_dbfs: ceiling for true peaks, at most 0 dBFS.

    Raises:
        ConfigError: if a setting is out of range.
    """
    check_target(target_lufs)
    waveform, rate = audio.waveform, audio.sample_rate
    loudness = integrated_loudness(waveform, rate)
    highest = max_true_peak_dbfs + MAX_LIMITING_DB - true_peak_dbfs(waveform, rate)
    gain_db = min(target_lufs - loudness, MAX_GAIN_DB, highest) if loudness > -np.inf else 0.0
    result = waveform
    for _ in range(_CORRECTIONS):
        result = limit_true_peak(_amplified(waveform, gain_db), rate, max_true_peak_dbfs)
        if loudness == -np.inf:
            break
        missing = target_lufs - integrated_loudness(result, rate)
        wanted = min(gain_db + missing, MAX_GAIN_DB, highest)
        if abs(missing) <= _CLOSE_LU or wanted == gain_db:
            break
        gain_db = wanted
    return dataclasses.replace(audio, waveform=result)


def normalize_stream(
    blocks: Iterable[np.ndarray],
    sample_rate: int,
    target_lufs: float = TARGET_LUFS,
    max_true_peak_dbfs: float = MAX_TRUE_PEAK_DBFS,
    *,
    true_peaks: bool = True,
) -> Iterator[np.ndarray]:
    """Normalize a stream whose end is not known, as well as that can be done.

    The first block with any sound (more than -70 LUFS) settles a gain of at most 20 dB. Later ones
    move it by up to 1 dB per second towards that of the last 12 s; a limiter keeps peaks below the
    ceiling.

    Args:
        blocks: float [channels, n] pieces.
        sample_rate: Hz.
        target_lufs, max_true_peak_dbfs: as for `normalize_loudness`.
        true_peaks: whether the ceiling is also for peaks between samples.

    Yields:
        float32 [channels, m], as many samples in all; each up to 0.6 s later than it came.

    Raises:
        ConfigError, AudioError: as for `normalize_loudness`.
    """
    check_target(target_lufs)
    gain_db: float | None = None
    limiter: Limiter | None = None
    recent = np.zeros((1, 0), np.float32)
    for block in blocks:
        if not block.shape[1]:
            continue
        if limiter is None:
            recent = np.zeros((len(block), 0), np.float32)
            limiter = Limiter(
                sample_rate, len(block), max_true_peak_dbfs, between_samples=true_peaks
            )
        recent = np.concatenate((recent, block), axis=1)[:, -_MEASURED_SECONDS * sample_rate :]
        loudness, before = integrated_loudness(recent, sample_rate), gain_db
        if loudness > -np.inf:
            gain_db = min(target_lufs - loudness, MAX_STREAM_GAIN_DB)
            if before is not None:
                step = _GLIDE_DB_PER_SECOND * block.shape[1] / sample_rate
                gain_db = min(max(gain_db, before - step), before + step)
        after = gain_db or 0.0
        ramp = np.linspace(after if before is None else before, after, block.shape[1])
        yield limiter.process((block * 10 ** (ramp / 20)).astype(np.float32))
    if limiter is not None:
        yield limiter.finish()


def check_target(target_lufs: float) -> None:
    """Raise ConfigError if a loudness target is not a number from -60 to 0 LUFS."""
    low, high = _LOUDNESS_RANGE_LUFS
    if not low <= target_lufs <= high:
        raise ConfigError(f"got a loudness of {target_lufs} LUFS; expected {low:.0f} to {high:.0f}")


def k_weighting(sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the K-weighting filter at any sample rate: numerator and denominator [5] in 1/z.

    The Recommendation gives two biquads at 48 kHz. Here they are redesigned by the bilinear
    transform from the analog filters they come from: a shelf of +4 dB above 1.7 kHz, and a
    high-pass at 38 Hz. The analog parameters that reproduce its coefficients are those of
    libebur128 (Kratochwil).
    """
    warped = np.tan(np.pi * 1681.974450955533 / sample_rate)
    quality, high = 0.7071752369554196, 10 ** (3.999843853973347 / 20)
    band = high**0.4996667741545416
    shelf = [
        high + band * warped / quality + warped**2,
        2 * (warped**2 - high),
        high - band * warped / quality + warped**2,
    ]
    shelf_poles = _poles(warped, quality)
    warped = np.tan(np.pi * 38.13547087602444 / sample_rate)
    low_poles = _poles(warped, 0.5003270373238773)
    # The Recommendation leaves the numerator of the high-pass at 1, -2, 1.
    numerator = np.convolve(np.array(shelf) / shelf_poles[0], [1.0, -2.0, 1.0])
    return numerator, np.convolve(shelf_poles / shelf_poles[0], low_poles / low_poles[0])


def _poles(warped: float, quality: float) -> np.ndarray:
    return np.array(
        [
            1 + warped / quality + warped**2,
            2 * (warped**2 - 1),
            1 - warped / quality + warped**2,
        ]
    )


def _block_powers(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return the weighted power of each gating block; one block for what is shorter."""
    waveform = np.asarray(waveform)
    if waveform.ndim != 2 or waveform.shape[0] < 1 or not np.isfinite(waveform).all():
        raise AudioError(
            f"got a waveform of shape {waveform.shape}; expected finite numbers [channels, samples]"
        )
    samples = waveform.shape[1]
    if not samples:
        return np.zeros(0)
    weights = np.array(_CHANNEL_WEIGHTS.get(len(waveform), (1.0,) * len(waveform)))
    steps = samples * _STEPS_PER_SECOND // sample_rate
    if steps < _STEPS_PER_BLOCK:
        power = sum(
            float(weights @ np.square(part).sum(1)) for part in _weighted(waveform, sample_rate)
        )
        return np.array([power / samples])
    edges = np.arange(steps + 1) * sample_rate // _STEPS_PER_SECOND
    energies, begin = np.zeros(steps + 1), 0
    for part in _weighted(waveform, sample_rate):
        end = begin + part.shape[1]
        first, last = np.searchsorted(edges, (begin, end - 1), side="right") - 1
        starts = np.maximum(edges[first : last + 1] - begin, 0)
        energies[first : last + 1] += np.add.reduceat(weights @ np.square(part), starts)
        begin = end
    sums = np.convolve(energies[:steps], np.ones(_STEPS_PER_BLOCK), mode="valid")
    result: np.ndarray = sums / (edges[_STEPS_PER_BLOCK:] - edges[:-_STEPS_PER_BLOCK])
    return result


def _weighted(waveform: np.ndarray, sample_rate: int) -> Iterator[np.ndarray]:
    """Yield the K-weighted signal in pieces, float [channels, n].

    Each piece is convolved by transforms, with what came before it up to where the filter's
    response has died away.
    """
    decay = round(_DECAY_SECONDS * sample_rate)
    size = 1 << (2 * decay).bit_length()
    length = size - decay
    numerator, denominator = k_weighting(sample_rate)
    response = np.fft.rfft(numerator, size) / np.fft.rfft(denominator, size)
    response = response.astype(np.complex64)
    for begin in range(0, waveform.shape[1], length):
        first = max(begin - decay, 0)
        piece = waveform[:, first : begin + length].astype(np.float32)
        filtered = np.fft.irfft(np.fft.rfft(piece, size) * response, size)
        yield filtered[:, begin - first : piece.shape[1]]


def _amplified(waveform: np.ndarray, gain_db: float) -> np.ndarray:
    if not gain_db:
        return waveform
    return (waveform * np.float64(10 ** (gain_db / 20))).astype(np.float32)


def _lufs(power: float) -> float:
    return float(_OFFSET_DB + 10 * np.log10(power))


def _power(lufs: float) -> float:
    return float(10 ** ((lufs - _OFFSET_DB) / 10))
