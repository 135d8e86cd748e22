"""Training losses between two mel images: distance, texture, rises and onsets.

    estimate, reference: [batch, n_mels, mel_frames] -> scalar, 0 for equal mels

All but `mel_loss` and `loud_mel_loss` count on normalized mels (zero mean, unit variance over
music), for which their constants are chosen. Gradients reach the estimate only.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bandtok.tokenizer.mel_image import MelImageConfig
from bandtok.vocoder.config import VocoderConfig

_TEXTURE_SIZES = (4, 16)
_FLUX_BINS = 16
_ONSET_BANDS = 4
_SMALLEST_MEAN = 1e-3
_SMALLEST_NORM = 1e-3


def normalize_mel(mel: Tensor, config: MelImageConfig | VocoderConfig) -> Tensor:
    """Return an ln-mel with the mean and spread of music removed, as the networks use it."""
    return (mel - config.mel_mean) / config.mel_std


def mel_loss(estimate: Tensor, reference: Tensor) -> Tensor:
    """Return the mean absolute difference of two mels."""
    return (estimate - reference).abs().mean()


def loud_mel_loss(estimate: Tensor, reference: Tensor) -> Tensor:
    """Return the mean distance of two ln-mels with most weight on loud cells.

    A cell weighs the square root of its magnitude over that of its frame's loudest cell, so that a
    single tone counts, though it covers few of the 128 bins.
    """
    weights = (0.5 * (reference - reference.amax(dim=1, keepdim=True))).exp()
    return (weights * (estimate - reference).abs()).sum() / weights.sum()


def texture_loss(estimate: Tensor, reference: Tensor) -> Tensor:
    """Compare how much two normalized mels vary locally, wherever exactly they rise and fall.

    The mean absolute difference of neighboring frames, and of neighboring bins, over squares of 4
    and of 16 cells, relative to the mean over all of `reference`. A blurred estimate, which plain
    distances reward, scores worse than a rough one of the right texture.
    """
    losses = []
    for dim in (-1, -2):
        variation = [mel.diff(dim=dim).abs() for mel in (estimate, reference)]
        for size in _TEXTURE_SIZES:
            losses.append(_relative_distance(*(_pooled(image, size, size) for image in variation)))
    return torch.stack(losses).mean()


def flux_loss(estimate: Tensor, reference: Tensor) -> Tensor:
    """Compare the rises of two normalized mels frame by frame.

    Rises are averaged over 16 mel bins and over all of them: an attack counts at its time,
    whichever of the bins carry it.
    """
    rises = [mel.diff(dim=-1).relu() for mel in (estimate, reference)]
    losses = [
        _relative_distance(*(_pooled(image, bins, 1) for image in rises))
        for bins in (_FLUX_BINS, reference.shape[1])
    ]
    return torch.stack(losses).mean()


def onset_loss(estimate: Tensor, reference: Tensor) -> Tensor:
    """Return 1 - the correlation over time of the rises of two normalized mels.

    Rises are averaged over each quarter of the bins and over all of them: what rises above the
    texture in many bins at the same frame is an onset. Where `reference` never rises there is
    nothing to correlate with, and the loss is 0.

    The number of bins must be a multiple of 4.
    """
    losses = []
    rises = [mel.diff(dim=-1).relu() for mel in (estimate, reference)]
    for bands in (1, _ONSET_BANDS):
        curves = [image.unflatten(1, (bands, -1)).mean(dim=2) for image in rises]
        made, wanted = (curve - curve.mean(dim=-1, keepdim=True) for curve in curves)
        defined = wanted.norm(dim=-1) > _SMALLEST_NORM
        correlation = F.cosine_similarity(made, wanted, dim=-1, eps=_SMALLEST_NORM)
        losses.append(((1 - correlation) * defined).mean())
    return torch.stack(losses).mean()


def _pooled(image: Tensor, rows: int, columns: int) -> Tensor:
    """Average [batch, rows, columns] over half-overlapping windows, at most as large as it is."""
    size = (min(rows, image.shape[-2]), min(columns, image.shape[-1]))
    return F.avg_pool2d(image[:, None], size, (max(rows // 2, 1), max(columns // 2, 1)))


def _relative_distance(estimate: Tensor, reference: Tensor) -> Tensor:
    return (estimate - reference).abs().mean() / reference.mean().clamp(min=_SMALLEST_MEAN)
