"""Pretrained networks that turn sound into vectors, under one interface.

    waveform [samples] -> embeddings [windows, dim]

"musicnn" (MTT tagger) and "aisfx" find their weights in installed packages; "clap:NAME" and
"vggish:NAME" load them from a folder or the hub. Knows nothing of statistics over the vectors.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from bandtok.errors import CheckpointError, ConfigError, MissingDependency
from bandtok.evaluation.pretrained import mono_samples, read_plain_checkpoint, run_in_batches
from bandtok.evaluation.vggish import load_vggish
from bandtok.extras import require
from bandtok.signal.mel_filters import triangular_mel_filters
from bandtok.tagger import Tagger, load_tagger

AISFX_PACKAGE = "aisfx"


class Embedder(Protocol):
    """What turns sound into vectors."""

    @property
    def embedding_dim(self) -> int: ...

    def embed(self, waveform: Tensor | np.ndarray, sample_rate: int, /) -> np.ndarray: ...


def load_embedder(name: str, device: str = "cpu") -> Embedder:
    """Load an embedder: "musicnn", "aisfx", or "clap:" or "vggish:" and where its weights are.

    That is a folder or hub id; for VGGish also a file.

    Raises:
        ConfigError: for another name.
        MissingDependency: if its weights are not installed.
        CheckpointError: if they are damaged or cannot be found.
    """
    if name == "musicnn":
        tagger: Tagger = load_tagger("mtt", device)
        return tagger
    if name == "aisfx":
        return load_aisfx(device)
    kind, _, place = name.partition(":")
    if kind == "clap" and place:
        return ClapEmbedder(place, device)
    if kind == "vggish" and place:
        return load_vggish(place, device)
    raise ConfigError(
        f"got embedder {name!r}; expected musicnn, aisfx, clap:FOLDER_OR_HUB_ID or "
        "vggish:FOLDER_FILE_OR_HUB_ID"
    )


class AisfxEmbedder:
    """Embeddings of the aisfx network for sound effects: 512 numbers for each 2.3 s.

    Windows of 100 mel frames begin at the start of the recording, side by side; a rest is left
    out, and a shorter recording is padded with silence.

    Source: Ma and Lerch (ISMIR 2022), whose mel comes from Essentia; this one is librosa's
    nearest to it, so that the vectors are comparable with one another, not with published ones.

    Args:
        network: log-mel [batch, mel_frames, 96] -> [batch, 512].
        device: where it runs.
    """

    embedding_dim = 512
    _rate, _n_fft, _hop_length, _n_mels = 44_100, 2048, 1024, 96
    _patch_frames = 100
    _largest = 9.457798957824707  # log-mel of the network's training data, by which it is divided

    def __init__(self, network: nn.Module, device: str = "cpu") -> None:
        self._network = network.eval().requires_grad_(False).to(device)
        self._device = device
        filters = triangular_mel_filters(
            self._rate, self._n_fft, self._n_mels, htk=True, norm="sum"
        )
        self._filterbank = torch.from_numpy(filters)

    def embed(self, waveform: Tensor | np.ndarray, sample_rate: int, /) -> np.ndarray:
        """Return float32 [windows, 512].

        Args:
            waveform: mono samples [samples], at least one.
            sample_rate: Hz.

        Raises:
            AudioError: if it is not mono, empty, or holds NaN or infinity.
        """
        mel = self._log_mel(mono_samples(waveform, sample_rate, self._rate))
        missing = max(0, self._patch_frames - len(mel))
        patches = nn.functional.pad(mel, (0, 0, 0, missing)).unfold(
            0, self._patch_frames, self._patch_frames
        )
        return run_in_batches(self._network, patches.transpose(1, 2), self._device)

    def _log_mel(self, samples: np.ndarray) -> Tensor:
        spectrum = torch.stft(
            torch.from_numpy(np.pad(samples, self._n_fft // 2)),
            self._n_fft,
            self._hop_length,
            window=torch.hann_window(self._n_fft),
            center=False,
            return_complex=True,
        )
        power = spectrum.real.square() + spectrum.imag.square()
        return torch.log10(10_000 * (self._filterbank @ power).T + 1) / self._largest


def load_aisfx(device: str = "cpu") -> AisfxEmbedder:
    """Load the network of the installed `aisfx` package, with its own code.

    Its checkpoint is a pickle; only tensors and numbers are read from it, nothing is run.

    Raises:
        MissingDependency: if the package is not installed.
        CheckpointError: if its checkpoint is damaged or holds anything else.
    """
    spec = importlib.util.find_spec(AISFX_PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingDependency(
            "the aisfx embedder needs the package of that name; install it with "
            "pip install --no-deps aisfx"
        )
    path = Path(spec.origin).parent / "models" / "checkpoint.pth"
    states = read_plain_checkpoint(path)
    prefix = "embedding_net."
    try:
        network: nn.Module = importlib.import_module("aisfx.models.cnn2d").EmbeddingNet(
            "max", 3, 1, 64
        )
        network.load_state_dict(
            {key.removeprefix(prefix): states[key] for key in states if key.startswith(prefix)}
        )
    except (ImportError, RuntimeError) as error:
        raise CheckpointError(f"{path} cannot be used: {str(error).splitlines()[0]}") from None
    return AisfxEmbedder(network, device)


class ClapEmbedder:
    """A CLAP model: sound and text as vectors of one space.

    A recording is cut into windows as long as the model takes (10 s); the last may be shorter.

    Args:
        name_or_path: a local folder or a hub id, e.g. "laion/clap-htsat-unfused".
        device: where it runs.

    Raises:
        CheckpointError: if it cannot be found or loaded.
    """

    def __init__(self, name_or_path: str | os.PathLike[str], device: str = "cpu") -> None:
        # transformers takes seconds to import, and only this embedder needs it.
        transformers = require("transformers", "text")
        local = Path(name_or_path).is_dir()
        bars = transformers.utils.logging.is_progress_bar_enabled()
        transformers.utils.logging.disable_progress_bar()
        try:
            self._processor = transformers.ClapProcessor.from_pretrained(
                name_or_path, local_files_only=local
            )
            model = transformers.ClapModel.from_pretrained(
                name_or_path, local_files_only=local, use_safetensors=True
            )
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise CheckpointError(
                f"cannot load CLAP from {str(name_or_path)!r}: {reason}"
            ) from None
        finally:
            if bars:
                transformers.utils.logging.enable_progress_bar()
        self._model = model.eval().requires_grad_(False).to(device)
        self._device = device
        extractor = self._processor.feature_extractor
        self._rate = int(extractor.sampling_rate)
        self._window = int(extractor.max_length_s * extractor.sampling_rate)

    @property
    def embedding_dim(self) -> int:
        return int(self._model.config.projection_dim)

    @torch.no_grad()
    def embed(self, waveform: Tensor | np.ndarray, sample_rate: int, /) -> np.ndarray:
        """Return unit vectors, float32 [windows, dim].

        Args:
            waveform: mono samples [samples], at least one.
            sample_rate: Hz.

        Raises:
            AudioError: if it is not mono, empty, or holds NaN or infinity.
        """
        samples = mono_samples(waveform, sample_rate, self._rate)
        vectors = []
        for start in range(0, len(samples), self._window):
            features = self._processor.feature_extractor(
                samples[start : start + self._window],
                sampling_rate=self._rate,
                return_tensors="pt",
            ).to(self._device)
            vectors.append(_unit(self._model.get_audio_features(**features)))
        return torch.cat(vectors).numpy()

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Return unit vectors, float32 [texts, dim]."""
        pieces = self._processor.tokenizer(
            list(texts), padding=True, truncation=True, return_tensors="pt"
        ).to(self._device)
        return _unit(self._model.get_text_features(**pieces)).numpy()

    def score(self, waveform: Tensor | np.ndarray, sample_rate: int, text: str) -> float:
        """Return the cosine between a text and a recording, averaged over its windows, -1 to 1."""
        sound = self.embed(waveform, sample_rate)
        return float((sound @ self.embed_texts([text])[0]).mean())


def _unit(features: Any) -> Tensor:
    # Since version 5 of transformers the vectors come wrapped.
    vectors: Tensor = getattr(features, "pooler_output", features)
    return nn.functional.normalize(vectors.float(), dim=-1).cpu()
