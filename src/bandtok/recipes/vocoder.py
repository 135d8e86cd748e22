"""Complete vocoder runs, by name."""

from __future__ import annotations

from bandtok.training.loop import LoopConfig
from bandtok.training.vocoder import VocoderTraining
from bandtok.vocoder.config import DEBUG_VOCODER


def default() -> VocoderTraining:
    """The bundled vocoder's first phase: real mels, no adversary."""
    return VocoderTraining(loop=LoopConfig(steps=12_000))


def debug() -> VocoderTraining:
    """A few seconds on any folder; for tests."""
    return VocoderTraining(
        network=DEBUG_VOCODER,
        loop=LoopConfig(steps=6, warmup_steps=2, log_every=2, validate_every=3, save_every=3),
        batch_size=2,
        crop_mel_frames=32,
        adversarial_after=3,
        validation_crops=2,
    )
