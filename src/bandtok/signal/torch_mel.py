"""The log-mel spectrogram with gradients, for training and measures on tensors.

waveform [batch, 1, samples] -> ln-mel [batch, n_mels, samples // hop_length]
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bandtok.errors import AudioError
from bandtok.signal.mel import MAGNITUDE_OFFSET, MelConfig, mel_filterbank


class TorchLogMel(nn.Module):
    """:class:`bandtok.signal.mel.LogMel` on batches of tensors."""

    window: Tensor
    filterbank: Tensor

    def __init__(self, config: MelConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or MelConfig()
        self.register_buffer("window", torch.hann_window(config.win_length), persistent=False)
        filterbank = torch.from_numpy(mel_filterbank(config))
        self.register_buffer("filterbank", filterbank, persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute the ln-mel.

        Args:
            waveform: float [batch, 1, samples] with more than `padding` samples.

        Returns:
            [batch, n_mels, samples // hop_length].

        Raises:
            AudioError: if the shape is wrong or the waveform too short to be reflected.
        """
        padding = self.config.padding
        if waveform.ndim != 3 or waveform.shape[1] != 1 or waveform.shape[2] <= padding:
            raise AudioError(
                f"got a waveform of shape {tuple(waveform.shape)}; "
                f"expected [batch, 1, samples] with more than {padding} samples"
            )
        padded = nn.functional.pad(waveform, (padding, padding), mode="reflect")
        return self.from_padded(padded)

    def from_padded(self, waveform: Tensor) -> Tensor:
        """Compute the ln-mel of a waveform that already carries its `padding` on both sides."""
        return self.of_spectrum(self.spectrum(waveform))

    def spectrum(self, waveform: Tensor) -> Tensor:
        """Return complex [batch, n_fft // 2 + 1, mel_frames] of a waveform with its `padding`."""
        config = self.config
        return torch.stft(
            waveform[:, 0],
            config.n_fft,
            config.hop_length,
            config.win_length,
            self.window,
            center=False,
            return_complex=True,
        )

    def of_spectrum(self, spectrum: Tensor) -> Tensor:
        """Return the ln-mel [batch, n_mels, mel_frames] of a complex spectrum."""
        magnitude = torch.sqrt(spectrum.real.square() + spectrum.imag.square() + MAGNITUDE_OFFSET)
        mel = self.filterbank @ magnitude
        return torch.log(mel.clamp(min=self.config.floor))
