"""The learned vocoder: ln-mel to waveform in one forward pass.

    mel [batch, n_mels, mel_frames] -> waveform [batch, 1, mel_frames * hop_length]

Any network with the same call can stand in its place (for example public BigVGAN weights).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bandtok.signal.mel import MelConfig
from bandtok.signal.torch_mel import TorchLogMel
from bandtok.vocoder.blocks import ConvNeXtBlock1d
from bandtok.vocoder.config import MAX_CORRECTION, MAX_LOG_MAGNITUDE, VocoderConfig


class Vocoder(nn.Module):
    """ConvNeXt blocks at the mel's frame rate, then magnitude and phase of a short-time spectrum.

    The overlapping pieces of such a spectrum do not quite agree with one another, so the waveform's
    own mel is off. It is analyzed again and its magnitudes are moved towards the target mel, a few
    times, within the same forward pass and trained through; the network learns phases for which
    that works, and by how much the mel it was given should be sharpened.

    Source: Vocos (Siuzdak 2023). Ours differs in having the mel's own framing (frame i centered on
    sample i * hop + hop / 2), so that output and input lie exactly on each other, and in the
    corrections, which are Griffin-Lim's idea (1984) applied to a learned phase.
    """

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        self.config = config
        self.bfloat16_blocks = False  # training may compute the blocks in half precision
        dim = config.model_dim
        self.conv_in = nn.Conv1d(
            config.mel.n_mels,
            dim,
            ConvNeXtBlock1d.kernel_size,
            padding=ConvNeXtBlock1d.reach,
        )
        self.norm_in = nn.LayerNorm(dim)
        self.blocks = nn.Sequential(
            *(
                ConvNeXtBlock1d(dim, config.expansion, initial_scale=1 / config.num_blocks)
                for _ in range(config.num_blocks)
            )
        )
        self.norm_out = nn.LayerNorm(dim)
        self.spectrum = nn.Linear(dim, config.mel.n_fft + 2)
        self.refinement = nn.Linear(dim, config.mel.n_mels)
        nn.init.zeros_(self.refinement.weight)
        nn.init.zeros_(self.refinement.bias)
        self.overlap_add = OverlapAdd(config.mel)
        self.correction = MelCorrection(config.mel)

    @property
    def reach(self) -> int:
        """Mel frames on either side that a sample can depend on."""
        return self.config.reach

    def forward(self, mel: Tensor) -> Tensor:
        """Return the waveform [batch, 1, mel_frames * hop_length] of an ln-mel."""
        signal = self.conv_in((mel - self.config.mel_mean) / self.config.mel_std)
        signal = self.norm_in(signal.transpose(1, 2)).transpose(1, 2)
        with torch.autocast(mel.device.type, torch.bfloat16, enabled=self.bfloat16_blocks):
            signal = self.blocks(signal)
        signal = self.norm_out(signal.float().transpose(1, 2))
        log_magnitude, phase = self.spectrum(signal).chunk(2, dim=-1)
        magnitude = log_magnitude.clamp(max=MAX_LOG_MAGNITUDE).exp()
        waveform: Tensor = self.overlap_add(torch.polar(magnitude, phase))
        wanted = mel + self.refinement(signal).transpose(1, 2)
        for _ in range(self.config.num_corrections):
            waveform = self.overlap_add(self.correction(waveform, wanted))
        return waveform


class OverlapAdd(nn.Module):
    """Inverse short-time Fourier transform in the mel's framing."""

    window: Tensor

    def __init__(self, config: MelConfig) -> None:
        super().__init__()
        self.n_fft, self.hop_length = config.n_fft, config.hop_length
        self.overlap = config.n_fft // config.hop_length
        self.padding = config.padding
        self.register_buffer("window", torch.hann_window(config.win_length), persistent=False)

    def forward(self, spectrum: Tensor) -> Tensor:
        """Turn complex [batch, frames, n_fft // 2 + 1] into [batch, 1, frames * hop_length]."""
        pieces = torch.fft.irfft(spectrum, self.n_fft, dim=-1) * self.window
        frames = spectrum.shape[1]
        waveform = self._sum(pieces) / self._envelope(frames)
        start = self.padding
        return waveform[:, None, start : start + frames * self.hop_length]

    def _sum(self, pieces: Tensor) -> Tensor:
        """Add up [batch, frames, n_fft], each a hop after the last, to [batch, samples]."""
        parts = pieces.unflatten(-1, (self.overlap, self.hop_length))
        last = self.overlap - 1
        shifted = [F.pad(parts[:, :, k], (0, 0, k, last - k)) for k in range(self.overlap)]
        return torch.stack(shifted).sum(0).flatten(1)

    def _envelope(self, frames: int) -> Tensor:
        """Return what `_sum` makes of the squared window; constant but for both ends."""
        ends = min(frames, 2 * self.overlap)
        envelope = self._sum(self.window.square().expand(1, ends, -1)).clamp(min=1e-4)
        middle = envelope[:, self.overlap * self.hop_length :][:, : self.hop_length]
        split = envelope.shape[1] // 2 // self.hop_length * self.hop_length
        repeated = middle.repeat(1, frames - ends)
        return torch.cat((envelope[:, :split], repeated, envelope[:, split:]), dim=1)


class MelCorrection(nn.Module):
    """Moves the magnitudes of a waveform's spectrum towards a mel and keeps the phases."""

    spread: Tensor

    def __init__(self, config: MelConfig) -> None:
        super().__init__()
        self.config, self.log_mel = config, TorchLogMel(config)
        filterbank = self.log_mel.filterbank
        spread = filterbank / filterbank.sum(0).clamp(min=1e-8)
        self.register_buffer("spread", spread.T.contiguous(), persistent=False)

    def forward(self, waveform: Tensor, wanted: Tensor) -> Tensor:
        """Return the corrected spectrum, complex [batch, frames, n_fft // 2 + 1].

        Args:
            waveform: [batch, 1, mel_frames * hop_length].
            wanted: ln-mel [batch, n_mels, mel_frames].
        """
        padding = self.config.padding
        spectrum = self.log_mel.spectrum(F.pad(waveform, (padding, padding)))
        excess = wanted - self.log_mel.of_spectrum(spectrum)
        gain = torch.exp(self.spread @ excess.clamp(-MAX_CORRECTION, MAX_CORRECTION))
        return (spectrum * gain).transpose(1, 2)
