"""The musicnn network: mel patches -> logits of tags, and what the last layer sees.

    log-mel [batch, mel_frames, 96] -> logits [batch, labels], embedding [batch, 200]

Filters as tall as a timbre or as long as a rhythm, three residual layers over time, pooling over
the patch, two dense layers. Evaluation only: batch norms use their stored statistics.

Source: Pons and Serra, musicnn (arXiv 1909.06654); sizes as in the package's own graph, with which
it agreed to 1e-6 in the tags and 9e-6 in the embeddings on six windows of music (TensorFlow 2.21).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

N_MELS = 96
EMBEDDING_DIM = 200
_TIMBRAL_FILTERS, _TIMBRAL_BINS, _TIMBRAL_FRAMES = 204, (38, 67), 7
_TEMPORAL_FILTERS, _TEMPORAL_FRAMES = 51, (128, 64, 32)
_FRONT_CHANNELS = 2 * _TIMBRAL_FILTERS + 3 * _TEMPORAL_FILTERS
_MIDDLE_CHANNELS, _MIDDLE_FRAMES, _MIDDLE_LAYERS = 64, 7, 3
_POOLED = _FRONT_CHANNELS + _MIDDLE_LAYERS * _MIDDLE_CHANNELS
_EPSILON = 1e-3  # of TensorFlow's batch norm


class MusicnnNetwork(nn.Module):
    """The network of both taggers.

    Args:
        num_labels: tags.
    """

    def __init__(self, num_labels: int) -> None:
        super().__init__()
        self.input_norm = nn.BatchNorm2d(1, _EPSILON)
        self.front = nn.ModuleList(
            [
                *(_Front(_TIMBRAL_FILTERS, _TIMBRAL_FRAMES, bins) for bins in _TIMBRAL_BINS),
                *(_Front(_TEMPORAL_FILTERS, frames, 1) for frames in _TEMPORAL_FRAMES),
            ]
        )
        self.middle = nn.ModuleList(
            _Middle(_MIDDLE_CHANNELS if layer else _FRONT_CHANNELS)
            for layer in range(_MIDDLE_LAYERS)
        )
        self.pool_norm = nn.BatchNorm1d(2 * _POOLED, _EPSILON)
        self.dense = nn.Linear(2 * _POOLED, EMBEDDING_DIM)
        self.dense_norm = nn.BatchNorm1d(EMBEDDING_DIM, _EPSILON)
        self.output = nn.Linear(EMBEDDING_DIM, num_labels)

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Compute tags and embeddings of patches.

        Args:
            mel: float [batch, mel_frames, 96], log10(10,000 x + 1) of a power mel.

        Returns:
            Logits [batch, labels] and embedding [batch, 200].
        """
        embedding = self.hidden_layers(mel)[-1]
        return self.output(embedding), embedding

    def hidden_layers(self, mel: Tensor) -> list[Tensor]:
        """Return the outputs of the layers, from the first filters to the embedding.

        Args:
            mel: as for `forward`; any number of frames.

        Returns:
            The filters' [batch, 561, mel_frames], three layers over time [batch, 64, mel_frames],
            and the embedding [batch, 200].
        """
        image = self.input_norm(mel[:, None])
        front = torch.cat([block(image) for block in self.front], dim=1)
        levels, state = [front], self.middle[0](front)
        levels.append(state)
        for layer in self.middle[1:]:
            state = state + layer(state)
            levels.append(state)
        over_time = torch.cat(levels, dim=1)
        # A channel's maximum, then its mean.
        pooled = torch.stack([over_time.amax(dim=2), over_time.mean(dim=2)], dim=2).flatten(1)
        embedding: Tensor = self.dense_norm(self.dense(self.pool_norm(pooled)).relu())
        return [*levels, embedding]


class _Front(nn.Module):
    """One family of filters over time and bins; the strongest place among the bins counts."""

    def __init__(self, filters: int, frames: int, bins: int) -> None:
        super().__init__()
        self.padding = (0, 0, (frames - 1) // 2, frames // 2)
        self.conv = nn.Conv2d(1, filters, (frames, bins))
        self.norm = nn.BatchNorm2d(filters, _EPSILON)

    def forward(self, image: Tensor) -> Tensor:
        padded = nn.functional.pad(image, self.padding)
        normalized: Tensor = self.norm(self.conv(padded).relu())
        return normalized.amax(dim=3)


class _Middle(nn.Module):
    """One layer over time."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(
            channels, _MIDDLE_CHANNELS, _MIDDLE_FRAMES, padding=_MIDDLE_FRAMES // 2
        )
        self.norm = nn.BatchNorm1d(_MIDDLE_CHANNELS, _EPSILON)

    def forward(self, states: Tensor) -> Tensor:
        normalized: Tensor = self.norm(self.conv(states).relu())
        return normalized
