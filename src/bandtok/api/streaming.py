"""Audio while it is generated: columns of codes as they come -> samples.

The language model generates in a thread of its own. Its codes are decoded as soon as the context
that the networks need is there, so the sound is that of the finished grid (to rounding, 130 dB
below) but for its level: the loudness of the whole is not known in time, so the gain follows that
of what there is (:func:`bandtok.signal.loudness.normalize_stream`).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

import numpy as np

from bandtok.api.clip import Clip
from bandtok.api.tokenizer import Tokenizer
from bandtok.signal.loudness import TARGET_LUFS, check_target, normalize_stream

_CONTEXT_FRAMES = 20  # what the decoder and the vocoder need before a sample

Write = Callable[[Callable[[np.ndarray], None]], Clip]
"""Makes a whole clip and hands each column of codes, int64 [bands], over as it comes."""


class ClipStream:
    """A clip on its way. Iterate once: float32 [1, n] blocks at the tokenizer's sample rate.

    Ending the iteration early stops the writing.

    Args:
        tokenizer: decodes the columns.
        write: see `Write`; for a music model,
            ``lambda on_column: model.generate(prompt, on_column=on_column)``.
        loudness_lufs: wanted loudness, -60 to 0 LUFS, with true peaks limited to -1 dBFS
            throughout; None leaves the level that the tokens decode to.
        skip_frames: frames at the beginning of the clip whose sound is left out.
        true_peaks: limit peaks between samples, which takes 0.6 s; otherwise those of samples.

    Raises:
        ConfigError: if the loudness is out of range.

    Attributes:
        clip: the finished clip, once the iteration has ended.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        write: Write,
        loudness_lufs: float | None = TARGET_LUFS,
        *,
        skip_frames: int = 0,
        true_peaks: bool = True,
    ) -> None:
        if loudness_lufs is not None:
            check_target(loudness_lufs)
        self._tokenizer, self._write, self._loudness_lufs = tokenizer, write, loudness_lufs
        self._true_peaks = true_peaks
        self._first_frame = max(skip_frames - _CONTEXT_FRAMES, 0)
        self._skipped_samples = (skip_frames - self._first_frame) * tokenizer.samples_per_frame
        self._num_columns = 0
        self._columns: queue.SimpleQueue[np.ndarray | None] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._outcome: Clip | BaseException | None = None

    @property
    def clip(self) -> Clip:
        assert isinstance(self._outcome, Clip), "the stream has not been read to its end"
        return self._outcome

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield the sound; raises what the writing raised."""
        thread = threading.Thread(target=self._run, name="bandtok-generate", daemon=True)
        thread.start()
        try:
            if self._loudness_lufs is None:
                yield from self._decoded()
            else:
                rate = self._tokenizer.sample_rate
                yield from normalize_stream(
                    self._decoded(), rate, self._loudness_lufs, true_peaks=self._true_peaks
                )
        finally:
            self._stopped.set()
            thread.join()

    def _decoded(self) -> Iterator[np.ndarray]:
        decoded = self._tokenizer.codec.decode_blocks(
            self._blocks(), promptly=True, first_frame=self._first_frame
        )
        begin, end = 0, self._first_frame * self._tokenizer.samples_per_frame
        for waveform in decoded:
            begin, end = end, end + len(waveform)
            length = len(waveform)
            if isinstance(self._outcome, Clip):  # only the last block can be too long
                length = min(length, self._outcome.audio.waveform.shape[1] - begin)
            skipped = min(self._skipped_samples, length)
            self._skipped_samples -= skipped
            yield waveform[None, skipped:length]

    def _blocks(self) -> Iterator[np.ndarray]:
        while (column := self._columns.get()) is not None:
            yield column[:, None]
        if isinstance(self._outcome, BaseException):
            raise self._outcome

    def _run(self) -> None:
        try:
            self._outcome = self._write(self._hand_over)
        except BaseException as error:
            self._outcome = error
        self._columns.put(None)

    def _hand_over(self, column: np.ndarray) -> None:
        if self._stopped.is_set():
            raise _Stopped
        if self._num_columns >= self._first_frame:
            self._columns.put(column)
        self._num_columns += 1


class _Stopped(Exception):
    """The consumer closed the stream."""
