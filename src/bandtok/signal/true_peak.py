"""Peaks between samples, and a look-ahead limiter that keeps peaks below a ceiling.

True peak is measured as in Recommendation ITU-R BS.1770-4, Annex 2, by 4 times oversampling (here
with soxr). The limiter has a bounded attack and an exponential release; where nothing exceeds the
ceiling, samples pass through unchanged, to the bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import soxr

from bandtok.errors import AudioError, ConfigError

OVERSAMPLING = 4
ATTACK_SECONDS = 0.005
"""Look-ahead: the gain starts to fall this long before a peak."""
RELEASE_SECONDS = 0.06
"""Time constant, in decibels, with which the gain returns to 1 after a peak."""
_BLOCK_SAMPLES = 8192
_NEGLIGIBLE = 1e-4  # nepers: 0.001 dB of reduction are none
_MAX_PASSES = 6
_STREAM_STAGES = 3
_MARGIN = 10 ** (-0.02 / 20)  # what three stages in a stream may leave above the ceiling, and more


def true_peak_dbfs(waveform: np.ndarray, sample_rate: int) -> float:
    """Return the largest absolute value of a waveform between and at its samples.

    Args:
        waveform: float [channels, samples].
        sample_rate: Hz.

    Returns:
        Decibels relative to full scale (1.0), the largest of all channels; -inf for silence.
    """
    peak = _true_peak(_checked(waveform))
    return float(20 * np.log10(peak)) if peak > 0 else float("-inf")


def limit_true_peak(
    waveform: np.ndarray, sample_rate: int, ceiling_dbfs: float = -1.0
) -> np.ndarray:
    """Limit a whole waveform so that `true_peak_dbfs` of the result is at most the ceiling.

    One gain for all channels. The limiter runs again on its own output while peaks between samples
    are left, which a changing gain can raise a little.

    Args:
        waveform: float [channels, samples].
        sample_rate: Hz.
        ceiling_dbfs: highest true peak, decibels relative to full scale.

    Returns:
        float32 [channels, samples]; the input itself where it is below the ceiling.

    Raises:
        AudioError: if the shape is wrong or a sample is not finite. ConfigError: if the ceiling is
        not a finite number of at most 0 dBFS.
    """
    limited = _checked(waveform)
    ceiling = _amplitude(ceiling_dbfs)
    if limited.shape[1] == 0 or _true_peak(limited) <= ceiling:
        return limited
    for _ in range(_MAX_PASSES):
        limiter = _Stage(sample_rate, len(limited), ceiling * _MARGIN, True)
        limited = _run([limiter], limited)
        if _true_peak(limited) <= ceiling:
            return limited
    return (limited * (ceiling * _MARGIN / _true_peak(limited))).astype(np.float32)


class Limiter:
    """A limiter for a stream of blocks; how the stream is cut makes no difference, to the bit.

    A block comes back later than it went in, by the attack and up to 8192 samples, and the stream
    is as long as before: `process` every block, then append `finish`.

    Args:
        sample_rate: Hz.
        channels: of every block; all get the same gain.
        ceiling_dbfs: highest peak, decibels relative to full scale.
        between_samples: limit true peaks, in three stages; otherwise the samples alone, for
            integer formats, which hold no sample above full scale but any peak between them.

    Attributes:
        samples_above: samples of the input that exceeded the ceiling, over all channels.

    Raises:
        ConfigError: if the ceiling is not a finite number of at most 0 dBFS.
    """

    def __init__(
        self,
        sample_rate: int,
        channels: int,
        ceiling_dbfs: float = -1.0,
        *,
        between_samples: bool = True,
    ) -> None:
        self._ceiling = _amplitude(ceiling_dbfs)
        self.samples_above = 0
        if between_samples:
            ceiling = self._ceiling * _MARGIN
            self._stages = [
                _Stage(sample_rate, channels, ceiling, True) for _ in range(_STREAM_STAGES)
            ]
        else:
            self._stages = [_Stage(sample_rate, channels, self._ceiling, False)]

    def process(self, block: np.ndarray) -> np.ndarray:
        """Take float [channels, n]; return what is ready, float32 [channels, m].

        Raises:
            AudioError: if the shape is wrong or a sample is not finite.
        """
        block = _checked(block)
        self.samples_above += int((np.abs(block) > self._ceiling).sum())
        for stage in self._stages:
            block = stage.process(block)
        return block

    def finish(self) -> np.ndarray:
        """End the stream; return the rest, float32 [channels, m]."""
        return _finish(self._stages)


class _Stage:
    """One pass of limiting.

    A peak p above the ceiling needs a reduction of ln(p / ceiling) nepers. Reductions decay
    exponentially (release), are held backwards for the attack, and averaged with a Hann window
    over the attack. Every average at a peak is over values that are at least what it needs, so
    the gain exp(-reduction) is always small enough. Work is done in blocks at fixed places.
    """

    def __init__(
        self, sample_rate: int, channels: int, ceiling: float, between_samples: bool
    ) -> None:
        self._channels, self._ceiling = channels, ceiling
        self._attack = max(round(ATTACK_SECONDS * sample_rate), 1)
        self._decay = 1 / (RELEASE_SECONDS * sample_rate)
        window = np.hanning(self._attack + 3)[1:-1]
        self._window = window / window.sum()
        self._upsampler = _upsampler(channels) if between_samples else None
        self._waiting = np.zeros((channels, 0), np.float32)  # samples without a gain yet
        self._peaks = np.zeros(0)  # peaks whose reductions are not computed yet
        self._sizes = np.zeros(0)  # magnitudes of the samples whose peaks are not known yet
        self._fine = np.zeros(OVERSAMPLING - 1)  # oversampled, from 3 before the next peak on
        self._released = -np.inf  # ln of the reduction at the last sample
        # Reductions from `attack` samples before the next gain on, as far as they are known.
        self._reductions = np.zeros(self._attack)

    def process(self, block: np.ndarray) -> np.ndarray:
        if not block.shape[1]:
            return block  # soxr would take an empty block for the end of the stream
        self._waiting = np.concatenate((self._waiting, block), axis=1)
        self._measure(block, last=False)
        return self._ready(last=False)

    def finish(self) -> np.ndarray:
        self._measure(np.zeros((self._channels, 0), np.float32), last=True)
        return self._ready(last=True)

    def _measure(self, block: np.ndarray, last: bool) -> None:
        """Append the peaks that are known: of each sample and all points up to its neighbors.

        The samples count as well as the oversampled points, which miss what lies above 0.45 times
        the sample rate.
        """
        sizes = np.abs(block).max(axis=0, initial=0.0).astype(np.float64)
        if self._upsampler is None:
            self._peaks = np.concatenate((self._peaks, sizes))
            return
        self._sizes = np.concatenate((self._sizes, sizes))
        samples = np.ascontiguousarray(block.T, dtype=np.float64)
        fine = self._upsampler.resample_chunk(samples, last=last).reshape(-1, self._channels)
        end = np.zeros(OVERSAMPLING - 1 if last else 0)
        self._fine = np.concatenate((self._fine, np.abs(fine).max(axis=1, initial=0.0), end))
        width = 2 * OVERSAMPLING - 1
        count = max((len(self._fine) - width) // OVERSAMPLING + 1, 0)
        count = min(count, len(self._sizes))
        if count:
            windows = np.lib.stride_tricks.sliding_window_view(self._fine, width)
            found = windows[::OVERSAMPLING][:count].max(axis=1)
            self._peaks = np.concatenate((self._peaks, np.maximum(found, self._sizes[:count])))
            self._fine = self._fine[count * OVERSAMPLING :]
            self._sizes = self._sizes[count:]

    def _ready(self, last: bool) -> np.ndarray:
        """Compute reductions block by block, and the samples whose look-ahead is known."""
        done = [np.zeros((self._channels, 0), np.float32)]
        while len(self._peaks) >= _BLOCK_SAMPLES:
            done.append(self._limited(self._released_reductions(_BLOCK_SAMPLES)))
        if last:
            # The resampler's length is rounded; never leave a sample without a gain.
            missing = self._waiting.shape[1] + self._attack - len(self._reductions)
            rest = self._released_reductions(min(len(self._peaks), missing))
            padding = np.zeros(missing + self._attack - len(rest))
            done.append(self._limited(np.concatenate((rest, padding))))
        return np.concatenate(done, axis=1)

    def _released_reductions(self, count: int) -> np.ndarray:
        """Return the next reductions in nepers, each at least the last one's decayed."""
        peaks, self._peaks = self._peaks[:count], self._peaks[count:]
        if not count or (self._released == -np.inf and peaks.max() <= self._ceiling):
            return np.zeros(count)
        with np.errstate(divide="ignore"):
            needed = np.log(np.maximum(np.log(np.maximum(peaks / self._ceiling, 1.0)), 0.0))
        slope = self._decay * np.arange(1, count + 1)
        held = np.maximum.accumulate(np.maximum(needed + slope, self._released))
        reductions = np.exp(held - slope)
        reductions[(reductions < _NEGLIGIBLE) & (needed == -np.inf)] = 0.0
        self._released = held[-1] - slope[-1] if reductions[-1] else -np.inf
        result: np.ndarray = reductions
        return result

    def _limited(self, reductions: np.ndarray) -> np.ndarray:
        """Append reductions and return the samples whose gains they settle."""
        known = np.concatenate((self._reductions, reductions))
        count = len(known) - 2 * self._attack
        if count <= 0:
            self._reductions = known
            return np.zeros((self._channels, 0), np.float32)
        samples, self._waiting = self._waiting[:, :count], self._waiting[:, count:]
        self._reductions = known[count:]
        if not known.any():
            return samples
        size = self._attack + 1
        ahead = np.lib.stride_tricks.sliding_window_view(known, size).max(axis=1)
        smooth = np.convolve(ahead, self._window, mode="valid")[: samples.shape[1]]
        return (samples * np.exp(-smooth)).astype(np.float32)


def limit_blocks(blocks: Iterable[np.ndarray], limiter: Limiter) -> Iterator[np.ndarray]:
    """Yield a limited stream: float [channels, n] blocks -> float32 [channels, m] blocks."""
    for block in blocks:
        if (ready := limiter.process(block)).shape[1]:
            yield ready
    if (rest := limiter.finish()).shape[1]:
        yield rest


def _run(stages: list[_Stage], waveform: np.ndarray) -> np.ndarray:
    done = []
    for start in range(0, waveform.shape[1], _BLOCK_SAMPLES):
        block = waveform[:, start : start + _BLOCK_SAMPLES]
        for stage in stages:
            block = stage.process(block)
        done.append(block)
    return np.concatenate([*done, _finish(stages)], axis=1)


def _finish(stages: list[_Stage]) -> np.ndarray:
    rest: list[np.ndarray] = []
    for stage in stages:
        following = [stage.process(block) for block in rest]
        rest = [*following, stage.finish()]
    return np.concatenate(rest, axis=1)


def _true_peak(waveform: np.ndarray) -> float:
    """Return the largest magnitude of samples and of what lies between them, in bounded memory."""
    if not waveform.size:
        return 0.0
    peak = float(np.abs(waveform).max())
    stream = _upsampler(len(waveform))
    for start in range(0, waveform.shape[1], _BLOCK_SAMPLES):
        stop = start + _BLOCK_SAMPLES
        piece = np.ascontiguousarray(waveform[:, start:stop].T, dtype=np.float64)
        fine = stream.resample_chunk(piece, last=stop >= waveform.shape[1])
        peak = max(peak, float(np.abs(fine).max(initial=0.0)))
    return peak


def _upsampler(channels: int) -> soxr.ResampleStream:
    # Of soxr's qualities this one computes in float64, which does not overflow.
    return soxr.ResampleStream(1, OVERSAMPLING, channels, dtype="float64", quality="VHQ")


def _amplitude(ceiling_dbfs: float) -> float:
    if not np.isfinite(ceiling_dbfs) or ceiling_dbfs > 0:
        raise ConfigError(
            f"got a ceiling of {ceiling_dbfs} dBFS; expected a finite number of at most 0"
        )
    return float(10 ** (ceiling_dbfs / 20))


def _checked(waveform: np.ndarray) -> np.ndarray:
    waveform = np.asarray(waveform)
    if waveform.ndim != 2 or waveform.shape[0] < 1 or waveform.dtype.kind not in "fiu":
        raise AudioError(
            f"got a waveform of shape {waveform.shape} and type {waveform.dtype}; "
            "expected numbers [channels, samples] with at least one channel"
        )
    waveform = waveform.astype(np.float32, copy=False)
    if not np.isfinite(waveform).all():
        raise AudioError("the waveform holds NaN or infinity; expected finite numbers")
    return waveform
