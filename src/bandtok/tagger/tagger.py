"""Waveforms to tags: the public face of the taggers.

waveform [samples] -> log-mel patches of 3 s -> tags [windows, 50], embeddings [windows, 200]
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from bandtok.errors import AudioError, ConfigError
from bandtok.signal.audio import check_finite, resample_blocks
from bandtok.signal.mel_filters import triangular_mel_filters
from bandtok.tagger.labels import MSD_LABELS, MTT_LABELS
from bandtok.tagger.network import EMBEDDING_DIM, N_MELS, MusicnnNetwork
from bandtok.tagger.weights import read_musicnn

TAGGER_SAMPLE_RATE = 16_000
_N_FFT, _HOP_LENGTH = 512, 256
_PATCH_FRAMES = 187
_DEFAULT_HOP_SECONDS = 3.0
_BATCH = 16
_CHECKPOINTS = {"mtt": ("MTT_musicnn", MTT_LABELS), "msd": ("MSD_musicnn", MSD_LABELS)}
Waveform = Tensor | np.ndarray


@dataclass(frozen=True, kw_only=True)
class TagWindows:
    """Tags and embeddings of each window of a recording.

    Attributes:
        tags: float32 [windows, 50], a probability for each tag.
        embeddings: float32 [windows, 200], input of the last layer.
    """

    tags: np.ndarray
    embeddings: np.ndarray


class Tagger:
    """A pretrained tagger; make one with :func:`load_tagger`.

    Windows are 187 mel frames (3.0 s) and begin at the start of the recording; a rest shorter
    than a window is left out, and a recording shorter than one is repeated until it fills it.

    Args:
        network: with its weights.
        labels: name of each output.
        device: where it runs.
    """

    embedding_dim = EMBEDDING_DIM

    def __init__(
        self, network: MusicnnNetwork, labels: tuple[str, ...], device: str = "cpu"
    ) -> None:
        self.labels = labels
        self._network = network.eval().requires_grad_(False).to(device)
        self._device = device

    def tag(
        self,
        waveform: Waveform,
        sample_rate: int,
        hop_seconds: float = _DEFAULT_HOP_SECONDS,
    ) -> np.ndarray:
        """Return probabilities, float32 [windows, 50]; see `predict`."""
        return self.predict(waveform, sample_rate, hop_seconds).tags

    def embed(
        self,
        waveform: Waveform,
        sample_rate: int,
        hop_seconds: float = _DEFAULT_HOP_SECONDS,
    ) -> np.ndarray:
        """Return embeddings, float32 [windows, 200]; see `predict`."""
        return self.predict(waveform, sample_rate, hop_seconds).embeddings

    @torch.no_grad()
    def predict(
        self,
        waveform: Waveform,
        sample_rate: int,
        hop_seconds: float = _DEFAULT_HOP_SECONDS,
    ) -> TagWindows:
        """Return tags and embeddings in one pass.

        Args:
            waveform: mono samples [samples], at least one.
            sample_rate: Hz.
            hop_seconds: from the start of one window to that of the next; 3 leaves no overlap.

        Raises:
            AudioError: if it is not mono, empty, or holds NaN or infinity.
            ConfigError: if the hop is shorter than a mel frame (16 ms).
        """
        patches = _patches(_samples(waveform, sample_rate), hop_seconds)
        tags, embeddings = [], []
        for batch in patches.split(_BATCH):
            logits, embedding = self._network(batch.to(self._device))
            tags.append(logits.sigmoid().cpu())
            embeddings.append(embedding.cpu())
        return TagWindows(tags=torch.cat(tags).numpy(), embeddings=torch.cat(embeddings).numpy())


def load_tagger(name: Literal["mtt", "msd"] = "mtt", device: str = "cpu") -> Tagger:
    """Load a tagger from the installed `musicnn` package.

    Args:
        name: "mtt" (trained on MagnaTagATune) or "msd" (on the Million Song Dataset).
        device: torch device.

    Raises:
        ConfigError: if there is no tagger of that name.
        MissingDependency: if the package is not installed.
        CheckpointError: if its files are damaged.
    """
    if name not in _CHECKPOINTS:
        raise ConfigError(f"got tagger {name!r}; expected one of {', '.join(_CHECKPOINTS)}")
    checkpoint, labels = _CHECKPOINTS[name]
    return Tagger(read_musicnn(checkpoint, len(labels)), labels, device)


def _samples(waveform: Waveform, sample_rate: int) -> np.ndarray:
    values = waveform.detach().cpu().numpy() if isinstance(waveform, Tensor) else waveform
    values = np.asarray(values)
    if values.ndim != 1 or not len(values) or values.dtype.kind not in "fiu" or sample_rate < 1:
        raise AudioError(
            f"got a waveform of shape {values.shape} and type {values.dtype} at {sample_rate} Hz; "
            "expected mono samples [samples], at least one"
        )
    values = values.astype(np.float32, copy=False)
    check_finite(values, "the waveform")
    blocks = resample_blocks([values[None]], sample_rate, TAGGER_SAMPLE_RATE, 1)
    return np.concatenate([block[0] for block in blocks])


def _patches(samples: np.ndarray, hop_seconds: float) -> Tensor:
    """Cut log-mel patches float32 [windows, 187, 96]."""
    hop = int(hop_seconds * TAGGER_SAMPLE_RATE / _HOP_LENGTH)
    if hop < 1:
        raise ConfigError(
            f"got windows every {hop_seconds} s; expected at least "
            f"{_HOP_LENGTH / TAGGER_SAMPLE_RATE} s"
        )
    mel = _log_mel(samples)
    if len(mel) < _PATCH_FRAMES:
        mel = mel.repeat(-(-_PATCH_FRAMES // len(mel)), 1)[:_PATCH_FRAMES]
    return mel.unfold(0, _PATCH_FRAMES, hop).transpose(1, 2)


def _log_mel(samples: np.ndarray) -> Tensor:
    """Return log10(10,000 x + 1) of the Slaney mel of the power, float32 [mel_frames, 96].

    In float32: the package keeps the mel in 16 bits first, where loud music overflows.
    """
    waveform = torch.from_numpy(np.pad(samples, _N_FFT // 2))
    spectrum = torch.stft(
        waveform,
        _N_FFT,
        _HOP_LENGTH,
        window=torch.hann_window(_N_FFT),
        center=False,
        return_complex=True,
    )
    power = spectrum.real.square() + spectrum.imag.square()
    return torch.log10(10_000 * (_filterbank() @ power).T + 1)


@functools.cache
def _filterbank() -> Tensor:
    return torch.from_numpy(triangular_mel_filters(TAGGER_SAMPLE_RATE, _N_FFT, N_MELS))
