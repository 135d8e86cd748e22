"""Audio while it is generated: columns of codes as they come -> samples.

The language model generates in a thread of its own. Its codes are decoded in the windows of
a finished grid, so the sound is the same to the last bit, but for its level: the loudness of the
whole is not known in time, so the first window of 11.9 s settles the gain
(:func:`bandtok.signal.loudness.normalize_stream`).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

import numpy as np

from bandtok.api.clip import Clip
from bandtok.api.tokenizer import Tokenizer
from bandtok.signal.loudness import TARGET_LUFS, check_target, normalize_stream

Write = Callable[[Callable[[np.ndarray], None]], Clip]
"""Makes a whole clip and hands each column of codes, int64 [bands], over as it comes."""


class ClipStream:
    """A clip on its way. Iterate once: float32 [1, n] blocks at the tokenizer's sample rate.

    Ending the iteration early stops the writing.

    Args:
        tokenizer: decodes the columns.
        write: see `Write`; for a music model,
            ``lambda on_column: model.generate(prompt, on_column=on_column)``.
        loudness_lufs: loudness of the first window, -60 to 0 LUFS, with true peaks limited to
            -1 dBFS throughout; None leaves the level that the tokens decode to.

    Raises:
        ConfigError: if the loudness is out of range.

    Attributes:
        clip: the finished clip, once the iteration has ended.
    """

    def __init__(
        self, tokenizer: Tokenizer, write: Write, loudness_lufs: float | None = TARGET_LUFS
    ) -> None:
        if loudness_lufs is not None:
            check_target(loudness_lufs)
        self._tokenizer, self._write, self._loudness_lufs = tokenizer, write, loudness_lufs
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
                yield from normalize_stream(self._decoded(), rate, self._loudness_lufs)
        finally:
            self._stopped.set()
            thread.join()

    def _decoded(self) -> Iterator[np.ndarray]:
        emitted = 0
        for waveform in self._tokenizer.codec.decode_blocks(self._blocks()):
            block = waveform[None]
            if isinstance(self._outcome, Clip):  # only the last block can be too long
                block = block[:, : self._outcome.audio.waveform.shape[1] - emitted]
            emitted += block.shape[1]
            yield block

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
        self._columns.put(column)


class _Stopped(Exception):
    """The consumer closed the stream."""
