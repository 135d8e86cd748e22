"""What is taken out of recordings before they are encoded, and how channels become one.

Ordinary recordings pass through unchanged, to the last bit, and stereo becomes its mean. Three
faults that are inaudible in the source, but audible after decoding, are repaired with a warning: a
constant offset (it decodes to rumble), a right channel of the wrong polarity (the mean is silence),
and, by the gains of ITU-R BS.775, a center channel lost among others.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np

from bandtok.errors import AudioError, AudioWarning

CHECKED_SECONDS = 10
"""Offset and polarity are settled by the first 10 s of a piece, for all of it."""
LEAST_OFFSET = 0.005
"""Offsets below this are left alone; what is above must hold in every half second checked."""
_LOUDEST = 128.0  # 42 dB above full scale: these are integers
_STEADY = 0.4  # of the offset: how far from it half a second may be
_CANCELLED_POWER = 10**-1.5  # of the mix, relative to that of unrelated channels
_INVERTED_POWER = 0.01  # of the sum of both channels, relative to that of their difference
_SILENT_POWER = 1e-8
_GAINS = {"L": 0.5, "R": 0.5, "C": 0.5**0.5, "B": 0.5**1.5, "-": 0.0}
# Order of channels by their number: left, right, center, behind or beside, - for the subwoofer.
_WAV = {3: "LRC", 4: "LRBB", 5: "LRCBB", 6: "LRC-BB", 7: "LRC-BBB", 8: "LRC-BBBB"}
_VORBIS = {3: "LCR", 4: "LRBB", 5: "LCRBB", 6: "LCRBB-", 7: "LCRBBB-", 8: "LCRBBBB-"}


def mixing_gains(channels: int, vorbis_order: bool = False) -> np.ndarray:
    """Return what each channel is multiplied by in the mix to one, float32 [channels].

    One and two channels, and more than eight, have their mean taken; the others are surround sound
    in the order of WAV files, or that of Ogg Vorbis and Opus.
    """
    layout = (_VORBIS if vorbis_order else _WAV).get(channels)
    if layout is None:
        return np.full(channels, 1 / channels, np.float32)
    return np.array([_GAINS[kind] for kind in layout], np.float32)


def repaired(blocks: Iterable[np.ndarray], sample_rate: int, name: str) -> Iterator[np.ndarray]:
    """Take a constant offset out of every channel and give the second of two the right polarity.

    Args:
        blocks: float32 [channels, n], cut anywhere.
        sample_rate: Hz.
        name: of the piece, for messages.

    Yields:
        float32 [channels, n]; the same samples where nothing is wrong.

    Raises:
        AudioError: if the samples are not in a range around -1 to 1.

    Warns:
        AudioWarning: if something was repaired.
    """
    rest = iter(blocks)
    first: list[np.ndarray] = []
    while sum(block.shape[1] for block in first) < CHECKED_SECONDS * sample_rate:
        if (block := next(rest, None)) is None:
            break
        first.append(block)
    if not first:
        return
    offsets, inverted = _faults(np.concatenate(first, axis=1), int(sample_rate))
    signs = np.array([[1], [-1]], np.float32)
    if offsets.any():
        found = ", ".join(f"{offset:+.3f}" for offset in offsets[:, 0])
        _warn(f"{name}: removed a constant offset of {found} (full scale is 1)")
    if inverted:
        _warn(f"{name}: left and right cancel each other out; inverted right")
    for block in chain(first, rest):
        if block.size and (peak := float(np.abs(block).max())) > _LOUDEST:
            raise AudioError(
                f"{name} holds samples up to {peak:.0f}; expected -1 to 1: divide integers kept "
                "as floats by their full scale, such as 32768"
            )
        changed = block - offsets if offsets.any() else block
        yield changed * signs if inverted else changed


def mixed(blocks: Iterable[np.ndarray], gains: np.ndarray, name: str) -> Iterator[np.ndarray]:
    """Mix float32 [channels, n] blocks to [1, n].

    Args:
        blocks: cut anywhere.
        gains: float32 [channels], see `mixing_gains`.
        name: of the piece, for messages.

    Warns:
        AudioWarning: at the end, if the channels have cancelled each other out.
    """
    expected = power = 0.0
    is_mean = (gains == gains[0]).all()
    for block in blocks:
        # A sum over the first axis does not depend on how the stream is cut; a product may.
        weighted = block.mean(axis=0) if is_mean else (block * gains[:, None]).sum(axis=0)
        if len(gains) > 1:
            expected += float(gains**2 @ np.square(block, dtype=np.float64).sum(axis=1))
            power += float(np.square(weighted, dtype=np.float64).sum())
        yield weighted[None]
    if power < _CANCELLED_POWER * expected:
        lost = f"by {10 * np.log10(expected / power):.0f} dB" if power else "entirely"
        _warn(f"{name}: the channels cancel each other out {lost} in mono; encode in stereo")


def _faults(waveform: np.ndarray, sample_rate: int) -> tuple[np.ndarray, bool]:
    """Return constant offsets, float32 [channels, 1], and whether right is left upside down."""
    size = sample_rate // 2
    count = min(waveform.shape[1] // size, 2 * CHECKED_SECONDS)
    whole = np.ascontiguousarray(waveform[:, : count * size])
    if count < 2:
        return np.zeros((len(waveform), 1), np.float32), False
    means = whole.reshape(len(whole), count, -1).mean(axis=2, dtype=np.float64)
    offsets = means.mean(axis=1, keepdims=True)
    steady = np.abs(means - offsets).max(axis=1, keepdims=True) < _STEADY * np.abs(offsets)
    offsets = np.where(steady & (np.abs(offsets) >= LEAST_OFFSET), offsets, 0).astype(np.float32)
    if len(whole) != 2:
        return offsets, False
    left, right = (whole - offsets).astype(np.float64)
    mid, side = np.square(left + right).mean(), np.square(left - right).mean()
    return offsets, bool(side > _SILENT_POWER and mid < _INVERTED_POWER * side)


def _warn(message: str) -> None:
    warnings.warn(AudioWarning(message), stacklevel=2)
