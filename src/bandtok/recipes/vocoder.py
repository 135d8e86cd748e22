"""Complete vocoder runs, by name."""

from __future__ import annotations

from bandtok.training.joint import JointTraining
from bandtok.training.loop import LoopConfig
from bandtok.training.vocoder import VocoderTraining
from bandtok.vocoder.config import DEBUG_VOCODER


def default() -> VocoderTraining:
    """The bundled vocoder: 8.3 M parameters, three corrections, half of each batch decoded mels.

    The bundled weights came in legs (docs/experiments/LOG.md): 2,620 steps on real mels without
    corrections, 1,449 with the settings below, 851 on decoded mels alone, then `joint`.
    Hardware: one CPU core, 1.7 GB of memory; about 1.1 s a step.

        bandtok train vocoder default --data CORPUS --out runs/vocoder
    """
    return VocoderTraining(
        loop=LoopConfig(steps=3800, save_every=200),
        learning_rate=6e-4,
        tokenizer="bundled",
        decoded_share=0.5,
    )


def adversarial() -> VocoderTraining:
    """A second phase against three spectrum judges; start it from a trained vocoder.

    Not part of the bundled weights: 15 minutes of it made every measure a little worse.

        bandtok train vocoder adversarial --data CORPUS --init runs/vocoder --out runs/vocoder-2
    """
    return VocoderTraining(
        loop=LoopConfig(steps=1500, warmup_steps=200),
        learning_rate=2e-4,
        tokenizer="bundled",
        adversarial_after=100,
    )


def joint() -> JointTraining:
    """A last phase with the tokenizer's decoder, codes frozen; start it from a trained vocoder.

    Leaves two models that belong together, RUN/model/tokenizer and RUN/model/vocoder.

        bandtok train vocoder joint --data CORPUS --init runs/vocoder --out runs/joint
    """
    return JointTraining(
        loop=LoopConfig(steps=2000, warmup_steps=100),
        batch_size=5,
        crop_mel_frames=96,
        learning_rate=4e-4,
        tokenizer="bundled",
    )


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
