"""Ln-mel to waveform without a learned network: the baseline every vocoder has to beat.

    ln-mel [batch, n_mels, mel_frames] -> waveform [batch, 1, mel_frames * hop_length]

Phases are found by iteration, with the framing of :class:`bandtok.signal.mel.LogMel` (frame i is
centered on sample i * hop_length + hop_length / 2). Knows nothing of tokens.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from bandtok.errors import ConfigError, GridError
from bandtok.signal.mel import MelConfig
from bandtok.signal.torch_mel import TorchLogMel

_INITIAL_FIT_STEPS = 30
_TINY = 1e-12


@torch.no_grad()
def griffin_lim(
    mel: Tensor,
    config: MelConfig | None = None,
    *,
    num_iterations: int = 32,
    momentum: float = 0.99,
    seed: int = 0,
    initial: Tensor | None = None,
) -> Tensor:
    """Find a waveform whose ln-mel is close to `mel`.

    Args:
        mel: ln-mel, float [batch, n_mels, mel_frames].
        config: settings the mel was made with; None means the package's default.
        num_iterations: rounds of phase refinement; 0 uses the first phases as they are.
        momentum: in [0, 1]; 0 is the plain algorithm, 0.99 the fast one.
        seed: of the random first phases; the same seed gives the same waveform.
        initial: waveform [batch, 1, mel_frames * hop_length] to take the first phases from, for
            example a vocoder's output that is to be pulled towards the mel.

    Returns:
        float32 waveform [batch, 1, mel_frames * hop_length]. It is not clipped to [-1, 1].

    Raises:
        GridError: if `mel` or `initial` has the wrong shape or is not finite.
        ConfigError: if `num_iterations` or `momentum` is out of range.

    Source: Griffin and Lim (1984) with the momentum of Perraudin et al. (2013). Differs in that the
    magnitude is not fixed from one inversion of the mel: each round rescales the magnitude that the
    signal really has by the ratio of the wanted to the present mel (one Richardson-Lucy step), so
    only the mel is held to, which is all that is known.
    """
    config = config or MelConfig()
    _check(mel, initial, config, num_iterations, momentum)
    mel_frames = mel.shape[2]
    length = mel_frames * config.hop_length
    missing = config.padding // config.hop_length + 2 - mel_frames
    if missing > 0:  # the analysis reflects `padding` samples, so a very short mel is lengthened
        mel = nn.functional.pad(mel, (0, missing), mode="replicate")
        initial = (
            None
            if initial is None
            else nn.functional.pad(initial, (0, missing * config.hop_length))
        )
    framing = _Framing(config, mel.device)
    target = torch.where(mel > config.silence, mel.float().exp(), 0.0)
    if initial is None:
        phase = _random_phase(target, config, seed)
    else:
        phase = torch.sgn(framing.analyse(initial[:, 0].float()))
    magnitude = framing.fit_magnitude(target)
    spectrum = magnitude * phase
    previous = torch.zeros_like(spectrum)
    for _ in range(num_iterations):
        consistent = framing.analyse(framing.synthesise(spectrum))
        magnitude = framing.step_towards(target, consistent.abs())
        accelerated = consistent - momentum / (1 + momentum) * previous
        previous = consistent
        spectrum = magnitude * torch.sgn(accelerated)
    return framing.synthesise(spectrum)[:, None, :length]


class _Framing:
    """The STFT of TorchLogMel, its least-squares inverse, and the mel's pseudo-inverse."""

    def __init__(self, config: MelConfig, device: torch.device) -> None:
        self.config = config
        log_mel = TorchLogMel(config).to(device)
        self.filterbank = log_mel.filterbank
        self.bin_weight = self.filterbank.sum(dim=0)[:, None].clamp(min=_TINY)
        left = (config.n_fft - config.win_length) // 2
        right = config.n_fft - config.win_length - left
        self.window = nn.functional.pad(log_mel.window, (left, right))

    def analyse(self, waveform: Tensor) -> Tensor:
        """[batch, samples] -> complex [batch, n_fft // 2 + 1, mel_frames]."""
        config = self.config
        padded = nn.functional.pad(waveform, (config.padding, config.padding), mode="reflect")
        return torch.stft(
            padded,
            config.n_fft,
            config.hop_length,
            window=self.window,
            center=False,
            return_complex=True,
        )

    def synthesise(self, spectrum: Tensor) -> Tensor:
        """Complex [batch, n_fft // 2 + 1, mel_frames] -> [batch, mel_frames * hop_length]."""
        config = self.config
        frames = torch.fft.irfft(spectrum, n=config.n_fft, dim=1) * self.window[:, None]
        envelope = self.window.square()[None, :, None].expand(1, -1, spectrum.shape[2])
        waveform = self._overlap_add(frames) / self._overlap_add(envelope).clamp(min=1e-8)
        return waveform[:, config.padding :][:, : spectrum.shape[2] * config.hop_length]

    def _overlap_add(self, frames: Tensor) -> Tensor:
        config = self.config
        length = (frames.shape[2] - 1) * config.hop_length + config.n_fft
        folded = nn.functional.fold(
            frames, (1, length), (1, config.n_fft), stride=(1, config.hop_length)
        )
        return folded[:, 0, 0]

    def fit_magnitude(self, target: Tensor) -> Tensor:
        """Non-negative magnitude whose mel is `target`, as smooth as the filters allow."""
        per_bin = target / self.filterbank.sum(dim=1)[:, None].clamp(min=_TINY)
        magnitude = self.filterbank.T @ per_bin / self.bin_weight
        for _ in range(_INITIAL_FIT_STEPS):
            magnitude = self.step_towards(target, magnitude)
        return magnitude

    def step_towards(self, target: Tensor, magnitude: Tensor) -> Tensor:
        """Rescale `magnitude` so that its mel comes closer to `target`."""
        present = (self.filterbank @ magnitude).clamp(min=1e-9)
        return magnitude * (self.filterbank.T @ (target / present) / self.bin_weight)


def _random_phase(target: Tensor, config: MelConfig, seed: int) -> Tensor:
    shape = (target.shape[0], config.n_fft // 2 + 1, target.shape[2])
    generator = torch.Generator().manual_seed(seed)
    angle = torch.rand(shape, generator=generator).to(target.device) * 2 * math.pi
    return torch.polar(torch.ones_like(angle), angle)


def _check(
    mel: Tensor, initial: Tensor | None, config: MelConfig, num_iterations: int, momentum: float
) -> None:
    if mel.ndim != 3 or mel.shape[1] != config.n_mels or mel.shape[2] < 1:
        raise GridError(
            f"got a mel of shape {tuple(mel.shape)}; "
            f"expected [batch, {config.n_mels}, mel_frames] with at least one frame"
        )
    if not torch.isfinite(mel).all():
        raise GridError("the mel holds NaN or infinity; expected finite natural logarithms")
    wanted = (mel.shape[0], 1, mel.shape[2] * config.hop_length)
    if initial is not None and tuple(initial.shape) != wanted:
        raise GridError(
            f"got an initial waveform of shape {tuple(initial.shape)}; expected {wanted}"
        )
    if num_iterations < 0 or not 0 <= momentum <= 1:
        raise ConfigError(
            f"got {num_iterations} iterations and momentum {momentum}; "
            "expected num_iterations >= 0 and momentum from 0 to 1"
        )
