"""Pan rows as streams: samples to rows of tokens, and mono sound with its rows to two channels.

    left, right -> mid, side [2, n] -> pan rows [rows, frames]
    mid [n] and pan rows            -> [2, n]

In windows at fixed places, bit-identical regardless of chunking. Knows no networks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from bandtok.errors import AudioError
from bandtok.signal.mel import LogMel
from bandtok.signal.windows import WindowPlan, cut_overlapping, cut_windows, reflect_padded
from bandtok.stereo.pan import PanAnalysis, PanPacking
from bandtok.stereo.spread import OUTSIDE, Spread


class PanRows:
    """The rows of a stereo grid that lie above those of its mono grid.

    Args:
        log_mel: gives framing and filterbank.
        num_bands: rows of the mono grid.
        reduction: mel frames in a token frame.
        codebook_size: tokens are below this.
        window_frames: token frames of a window.
        step_frames: token frames to a multiple of which the last window is cut.

    Raises:
        GridError: if the codebook is too small for stereo.
    """

    def __init__(
        self,
        log_mel: LogMel,
        *,
        num_bands: int,
        reduction: int,
        codebook_size: int,
        window_frames: int,
        step_frames: int,
    ) -> None:
        self._packing = PanPacking(num_bands, codebook_size)
        self._analysis = PanAnalysis(log_mel, num_bands, reduction)
        self._spread = Spread(log_mel, num_bands, reduction)
        self._padding = log_mel.config.padding
        self._samples_per_frame = reduction * log_mel.config.hop_length
        self._plan = WindowPlan(core=window_frames, halo=self._spread.reach, step=step_frames)
        self._no_symbols = np.full((num_bands, 1), OUTSIDE)
        self._no_samples = np.zeros((self._samples_per_frame, 1), np.float32)

    @property
    def num_rows(self) -> int:
        return self._packing.num_rows

    def measure(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Turn mid and side, float32 [2, n] cut anywhere, into int64 [num_rows, n]."""
        stream = reflect_padded(blocks, self._padding, self._samples_per_frame)
        core = self._plan.core * self._samples_per_frame
        for samples in cut_overlapping(stream, core, self._padding):
            yield self._packing.pack(self._analysis(samples))

    def spread(self, mid: Iterable[np.ndarray], rows: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Make two channels.

        Args:
            mid: float32 [n] pieces of whole token frames.
            rows: int64 [num_rows, n] pieces, as many frames in all.

        Yields:
            float32 [2, n].

        Raises:
            GridError: if a token is not one of a pan row.
        """
        size, halo = self._samples_per_frame, self._plan.halo
        columns = (piece.reshape(-1, size).T for piece in mid)
        symbols = (self._packing.unpack(piece) for piece in rows)
        windows = zip(
            cut_windows(columns, self._plan, self._no_samples),
            cut_windows(symbols, self._plan, self._no_symbols),
            strict=True,
        )
        for sound, pan in windows:
            both = self._spread(sound.columns.T.ravel(), pan.columns)
            yield both[:, halo * size : (halo + sound.valid) * size]


def mid_and_side(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Turn a stream of audio into mid, the very mean that mono is made of, and side.

    Args:
        blocks: float32 [channels, n]; a mono source has no side.

    Yields:
        float32 [2, n].

    Raises:
        AudioError: if there are more than two channels.
    """
    for block in blocks:
        if block.shape[0] > 2:
            raise AudioError(
                f"got {block.shape[0]} channels; stereo takes 1 or 2: mix them down to two first, "
                "or encode in mono"
            )
        yield np.stack((block.mean(axis=0), (block[0] - block[-1]) / 2))


def stack_rows(lower: Iterable[np.ndarray], upper: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Stack the rows of two streams: [a, n] and [b, n] -> [a + b, n].

    The pieces are those of `lower`; both streams have as many columns in all.
    """
    pieces = iter(upper)
    held: np.ndarray | None = None
    for low in lower:
        while held is None or held.shape[1] < low.shape[1]:
            piece = next(pieces)
            held = piece if held is None else np.concatenate((held, piece), axis=1)
        yield np.concatenate((low, held[:, : low.shape[1]]))
        held = held[:, low.shape[1] :]
