"""Distances between sounds as a pretrained music tagger represents them. For training only."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bandtok.mel import MelConfig, mel_filterbank
from bandtok.tagger.labels import MSD_LABELS
from bandtok.tagger.network import N_MELS, MusicnnNetwork
from bandtok.tagger.weights import read_musicnn

_RATE, _N_FFT, _HOP_LENGTH = 16_000, 512, 256


class TaggerFeatureLoss(nn.Module):
    """L1 of the hidden layers of the musicnn tagger trained on the Million Song Dataset.

    The tagger's mel is approximated from the waveform at its own rate, so that nothing is
    resampled. The tagger trained on MagnaTagATune is left to the evaluation.

    Source: MelCap's loss on features of a pretrained network; network and layers are ours.

    Raises:
        MissingDependency: if the musicnn package is not installed.
    """

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        self.network: MusicnnNetwork = read_musicnn("MSD_musicnn", len(MSD_LABELS))
        self.network.eval().requires_grad_(False)
        self.hop = round(_HOP_LENGTH * sample_rate / _RATE)
        window = torch.hann_window(round(_N_FFT * sample_rate / _RATE))
        n_fft = 2 ** (len(window) - 1).bit_length()
        self.n_fft = n_fft
        config = MelConfig(
            sample_rate=sample_rate,
            n_fft=n_fft,
            win_length=n_fft,
            hop_length=self.hop,
            n_mels=N_MELS,
            f_max=_RATE / 2,
        )
        density = (sample_rate / n_fft) / (_RATE / _N_FFT)  # of the bins of the spectrum
        scale = (_N_FFT / len(window)) ** 2 * density
        self.register_buffer("window", window, persistent=False)
        filters = torch.from_numpy(mel_filterbank(config)) * scale
        self.register_buffer("filterbank", filters, persistent=False)

    def forward(self, estimate: Tensor, reference: Tensor) -> Tensor:
        """Return the scalar loss between waveforms [batch, 1, samples]."""
        with torch.no_grad():
            wanted = self.features(reference)
        made = self.features(estimate)
        losses = [
            (a - b).abs().mean() / b.abs().mean().clamp(min=1e-3)
            for a, b in zip(made, wanted, strict=True)
        ]
        return torch.stack(losses).mean()

    def features(self, waveform: Tensor) -> list[Tensor]:
        """Return hidden layers of [batch, 1, samples], the last one the embedding."""
        spectrum = torch.stft(
            waveform[:, 0],
            self.n_fft,
            self.hop,
            len(self.window),
            self.window,
            center=True,
            return_complex=True,
        )
        power = spectrum.real.square() + spectrum.imag.square()
        mel = torch.log10(10_000 * (self.filterbank @ power) + 1).transpose(1, 2)
        network = self.network
        image = network.input_norm(mel[:, None])
        front = torch.cat([block(image) for block in network.front], dim=1)
        levels = [front]
        state = network.middle[0](front)
        levels.append(state)
        for layer in network.middle[1:]:
            state = state + layer(state)
            levels.append(state)
        over_time = torch.cat(levels, dim=1)
        pooled = torch.stack([over_time.amax(dim=2), over_time.mean(dim=2)], dim=2).flatten(1)
        embedding = network.dense_norm(network.dense(network.pool_norm(pooled)).relu())
        return [*levels, embedding]
