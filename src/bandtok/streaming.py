"""Music that can be heard while it is being written: columns of codes as they come -> samples.

The language model writes in a thread of its own. What it has written is decoded in the windows of
a finished grid, so the sound is the same to the last bit.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

import numpy as np
from torch import Tensor

from bandtok.pipeline import Clip, Tokenizer

Write = Callable[[Callable[[Tensor], None]], Clip]
"""Makes a whole clip and hands each column of codes, int64 [bands], over as it comes."""


class ClipStream:
    """A clip on its way. Iterate once: float32 [1, n] blocks at the tokenizer's sample rate.

    Ending the iteration early stops the writing.

    Args:
        tokenizer: decodes the columns.
        write: see `Write`; for a music model,
            ``lambda on_column: model.generate(prompt, on_column=on_column)``.

    Attributes:
        clip: the finished clip, once the iteration has ended.
    """

    def __init__(self, tokenizer: Tokenizer, write: Write) -> None:
        self._tokenizer, self._write = tokenizer, write
        self._columns: queue.SimpleQueue[Tensor | None] = queue.SimpleQueue()
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
        emitted = 0
        try:
            for waveform in self._tokenizer.codec.decode_blocks(self._blocks()):
                block = waveform[None].numpy()
                if isinstance(self._outcome, Clip):  # only the last block can be too long
                    block = block[:, : self._outcome.audio.waveform.shape[1] - emitted]
                emitted += block.shape[1]
                yield block
        finally:
            self._stopped.set()
            thread.join()

    def _blocks(self) -> Iterator[Tensor]:
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

    def _hand_over(self, column: Tensor) -> None:
        if self._stopped.is_set():
            raise _Stopped
        self._columns.put(column)


class _Stopped(Exception):
    """Nobody listens any more."""
