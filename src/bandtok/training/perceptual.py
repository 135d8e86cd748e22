"""Distance of waveforms in the hidden layers of a pretrained music tagger. For training only.

    estimate, reference: [batch, 1, samples] -> scalar

The evaluation uses the tagger trained on MagnaTagATune; this loss uses the one trained on the
Million Song Dataset, so that no measure is optimized directly.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bandtok.signal.mel import MelConfig, mel_filterbank
from bandtok.tagger.labels import MSD_LABELS
from bandtok.tagger.network import N_MELS, MusicnnNetwork
from bandtok.tagger.weights import read_musicnn

_RATE, _N_FFT, _HOP_LENGTH = 16_000, 512, 256  # of the tagger's own mel


class TaggerMel(nn.Module):
    """The tagger's input computed at another sample rate, without resampling and differentiable.

    Window, hop and mel filters have the length and frequencies of the tagger's own in seconds and
    Hz; the power is scaled to that of a spectrum at 16 kHz.

    Args:
        sample_rate: Hz, at least 16,000.
    """

    window: Tensor
    filterbank: Tensor

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        self.hop_length = round(_HOP_LENGTH * sample_rate / _RATE)
        window = torch.hann_window(round(_N_FFT * sample_rate / _RATE))
        self.n_fft = 2 ** (len(window) - 1).bit_length()
        config = MelConfig(
            sample_rate=sample_rate,
            n_fft=self.n_fft,
            win_length=self.n_fft,
            hop_length=self.hop_length,
            n_mels=N_MELS,
            f_max=_RATE / 2,
        )
        bin_width_ratio = (sample_rate / self.n_fft) / (_RATE / _N_FFT)
        scale = (_N_FFT / len(window)) ** 2 * bin_width_ratio
        filterbank = torch.from_numpy(mel_filterbank(config)) * scale
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("filterbank", filterbank, persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Return log10(10,000 x + 1) of the power mel, [batch, mel_frames, 96].

        Args:
            waveform: [batch, 1, samples].
        """
        spectrum = torch.stft(
            waveform[:, 0],
            self.n_fft,
            self.hop_length,
            len(self.window),
            self.window,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        power = spectrum.real.square() + spectrum.imag.square()
        return torch.log10(10_000 * (self.filterbank @ power) + 1).transpose(1, 2)


class TaggerFeatureLoss(nn.Module):
    """L1 of the hidden layers of musicnn (MSD), each relative to the reference's mean magnitude.

    Source: MelCap's loss on features of a pretrained network; network and layers are ours.

    Args:
        sample_rate: Hz of the waveforms.

    Raises:
        MissingDependency: if the musicnn package is not installed.
    """

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        self.mel = TaggerMel(sample_rate)
        self.network: MusicnnNetwork = read_musicnn("MSD_musicnn", len(MSD_LABELS))
        self.network.eval().requires_grad_(False)

    def forward(self, estimate: Tensor, reference: Tensor) -> Tensor:
        """Return the scalar loss between waveforms [batch, 1, samples].

        The mel is computed in full precision even under autocast; the network is not.
        """
        with torch.no_grad():
            wanted = self._features(reference)
        losses = [
            (made - target).abs().mean() / target.abs().mean().clamp(min=1e-3)
            for made, target in zip(self._features(estimate), wanted, strict=True)
        ]
        return torch.stack(losses).mean()

    def _features(self, waveform: Tensor) -> list[Tensor]:
        with torch.autocast(waveform.device.type, enabled=False):
            mel = self.mel(waveform.float())
        return self.network.hidden_layers(mel)
