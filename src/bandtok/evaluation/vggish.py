"""VGGish, the network on whose embeddings the Frechet audio distance was first taken.

    waveform -> log-mel patches [patches, 96, 64] -> embeddings [patches, 128]

Source: Hershey et al., "CNN Architectures for Large-Scale Audio Classification" (ICASSP 2017,
arXiv 1609.09430), and the code released with its weights (tensorflow/models, research/audioset).

The embeddings are raw: no PCA, no whitening, no quantization to 8 bits, which that release offers
to match the vectors published with AudioSet. They are read before the last ReLU, as the
release, frechet-audio-distance and fadtk do; torchvggish, whose weights the latter two use, has a
ReLU there.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from bandtok.checkpoint import check_shapes, hub_folder
from bandtok.errors import CheckpointError
from bandtok.evaluation.pretrained import mono_samples, read_plain_checkpoint, run_in_batches
from bandtok.signal.mel_filters import hz_to_mel

SAMPLE_RATE = 16_000
PATCH_FRAMES, MEL_BANDS = 96, 64
_WINDOW, _HOP, _N_FFT = 400, 160, 512  # samples: 25 ms and 10 ms
_MIN_HZ, _MAX_HZ = 125.0, 7_500.0
_LOG_OFFSET = 0.01
_SHORTEST = _WINDOW + (PATCH_FRAMES - 1) * _HOP  # samples of one patch
_BLOCKS = ((64,), (128,), (256, 256), (512, 512))
_SUFFIXES = (".safetensors", ".pth")
# In the order in which they are looked for. torchvggish calls its weights vggish-10086976.pth and
# the PCA, which is not used, vggish_pca_params-970ea276.pth.
_FILES = ("model.safetensors", "vggish.safetensors", "vggish.pth", "vggish-*.pth", "*.pth")
_POSTPROCESSING = "pproc."  # how torchvggish calls the PCA in a state dict of the whole


class VggishNetwork(nn.Module):
    """Log-mel patches [batch, 96, 64] -> embeddings [batch, 128], before the last ReLU.

    Parameters are named as in torchvggish: `features.0.weight` to `embeddings.4.bias`.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for widths in _BLOCKS:
            for width in widths:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        pooled = (PATCH_FRAMES >> len(_BLOCKS)) * (MEL_BANDS >> len(_BLOCKS))
        self.embeddings = nn.Sequential(
            nn.Linear(pooled * channels, 4096),
            nn.ReLU(),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Linear(4096, 128),
        )

    def forward(self, patches: Tensor) -> Tensor:
        features = self.features(patches[:, None])  # [batch, channels, frames, bands]
        # The weights were trained with the channels last.
        embeddings: Tensor = self.embeddings(features.permute(0, 2, 3, 1).flatten(1))
        return embeddings


class VggishEmbedder:
    """Embeddings of VGGish: 128 numbers for each 0.96 s.

    Patches begin at the start of the recording, side by side; a rest is left out, and a recording
    shorter than a patch (0.975 s with its last window) is padded with silence. The level stays as
    it is; Google's own Frechet distance first scales each recording to its peak, and other programs
    resample by other filters, so compare only distances that one program took.

    Args:
        network: log-mel [batch, 96, 64] -> [batch, 128].
        device: where it runs.
    """

    embedding_dim = 128

    def __init__(self, network: nn.Module, device: str = "cpu") -> None:
        self._network = network.eval().requires_grad_(False).to(device)
        self._device = device

    def embed(self, waveform: Tensor | np.ndarray, sample_rate: int, /) -> np.ndarray:
        """Return float32 [patches, 128].

        Args:
            waveform: mono samples [samples], at least one.
            sample_rate: Hz.

        Raises:
            AudioError: if it is not mono, empty, or holds NaN or infinity.
        """
        patches = log_mel_patches(mono_samples(waveform, sample_rate, SAMPLE_RATE))
        return run_in_batches(self._network, patches, self._device)


def log_mel_patches(samples: np.ndarray) -> Tensor:
    """Return the input of the network, float32 [patches, 96 frames, 64 bands], at least one patch.

    Magnitudes of windows of 25 ms (periodic Hann, no padding), 10 ms apart, summed in mel bands;
    log(mel + 0.01).

    Args:
        samples: mono, float32 [samples] at 16 kHz.
    """
    padded = np.pad(samples, (0, max(0, _SHORTEST - len(samples))))
    windows = torch.from_numpy(padded).unfold(0, _WINDOW, _HOP) * torch.hann_window(_WINDOW)
    magnitudes = torch.fft.rfft(windows, _N_FFT).abs()
    log_mel = torch.log(magnitudes @ mel_weights() + _LOG_OFFSET)
    kept = len(log_mel) // PATCH_FRAMES * PATCH_FRAMES
    return log_mel[:kept].reshape(-1, PATCH_FRAMES, MEL_BANDS)


def mel_weights() -> Tensor:
    """Return the weight of each FFT bin in each mel band, float32 [257 bins, 64 bands].

    Triangles over the HTK mel scale, 1 at their tips, evenly spaced from 125 to 7500 Hz, so that
    the bin at 0 Hz counts in none. librosa's are straight in Hz instead.
    """
    bins = hz_to_mel(np.fft.rfftfreq(_N_FFT, 1 / SAMPLE_RATE), htk=True)
    lowest, highest = hz_to_mel([_MIN_HZ, _MAX_HZ], htk=True)
    tips = np.linspace(lowest, highest, MEL_BANDS + 2)[1:-1]
    distances = np.abs(bins[:, None] - tips) / ((highest - lowest) / (MEL_BANDS + 1))
    return torch.from_numpy((1 - distances).clip(min=0).astype(np.float32))


def load_vggish(name_or_path: str | os.PathLike[str], device: str = "cpu") -> VggishEmbedder:
    """Load the network's weights, as tensors only; nothing in the file is run.

    Args:
        name_or_path: a .safetensors or .pth file, or a folder or hub id ("owner/name") with one:
            model.safetensors, vggish.safetensors, vggish.pth, vggish-*.pth or another .pth,
            the first of them that there is.
        device: where it runs.

    Raises:
        CheckpointError: if it cannot be found or reached, is damaged, or holds other tensors.
    """
    path = _weights_file(name_or_path)
    states = {
        name: tensor.float()
        for name, tensor in read_plain_checkpoint(path).items()
        if not name.startswith(_POSTPROCESSING)
    }
    with torch.device("meta"):  # 72 million numbers, which need no random values first
        network = VggishNetwork()
    check_shapes(
        network.state_dict(), {name: tuple(t.shape) for name, t in states.items()}, str(path)
    )
    network.load_state_dict(states, assign=True)
    return VggishEmbedder(network, device)


def _weights_file(name_or_path: str | os.PathLike[str]) -> Path:
    name, path = os.fspath(name_or_path), Path(name_or_path)
    if path.is_file():
        return path
    if path.is_dir():
        folder = path
    elif len(path.parts) == 2 and not path.is_absolute() and path.suffix not in _SUFFIXES:
        folder = hub_folder(name, _FILES)
    else:
        raise CheckpointError(
            f"no VGGish weights at {name!r}: expected a .safetensors or .pth file, a folder with "
            "one, or a hub id 'owner/name'"
        )
    found = [file for pattern in _FILES for file in sorted(folder.glob(pattern))]
    if not found:
        raise CheckpointError(f"{name!r} holds no VGGish weights: expected {', '.join(_FILES)}")
    return found[0]
