"""Networks as the runtime calls them: functions from arrays to arrays, whatever computes them.

One piece at a time, without a batch dimension.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from bandtok.tokenizer.mel_image import MelImageConfig


class CodecNetwork(Protocol):
    """The tokenizer: ln-mel to codes and back."""

    @property
    def config(self) -> MelImageConfig: ...

    @property
    def fingerprint(self) -> str:
        """See `bandtok.tokenizer.fingerprint.code_fingerprint`."""
        ...

    @property
    def device(self) -> str:
        """ "cpu", "cuda" or "mps"."""
        ...

    def encode_mel(self, mel: np.ndarray) -> np.ndarray:
        """Return codes int64 [bands, frames] of an ln-mel float32 [n_mels, frames * reduction]."""
        ...

    def decode_codes(self, codes: np.ndarray, first_frame: int = 0) -> np.ndarray:
        """Return the ln-mel float32 [n_mels, frames * reduction] of codes int64 [bands, frames].

        `first_frame` is the position of the first of them in the piece, which selects the noise; it
        may be negative.
        """
        ...


class VocoderNetwork(Protocol):
    """Ln-mel to waveform."""

    @property
    def reach(self) -> int:
        """Mel frames on either side that a sample can depend on."""
        ...

    def decode_mel(self, mel: np.ndarray) -> np.ndarray:
        """Return float32 [mel_frames * hop_length] of an ln-mel float32 [n_mels, mel_frames]."""
        ...
