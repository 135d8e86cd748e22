"""Complete vocoder runs, by name."""

from __future__ import annotations

from dataclasses import replace

from bandtok.data.waveforms import Augmentation
from bandtok.training.joint import JointTraining
from bandtok.training.loop import LoopConfig
from bandtok.training.vocoder import VocoderTraining
from bandtok.vocoder.config import DEBUG_VOCODER


def default() -> VocoderTraining:
    """The bundled vocoder: 8.3 M parameters, three corrections, half of each batch decoded mels.

    The bundled weights were trained in parts (docs/lab/LOG.md): 2,620 steps on real mels without
    corrections, 1,449 with the settings below, 851 on decoded mels alone, then `joint`.
    Hardware: one CPU core, 1.7 GB of memory; about 1.1 s per step.

        bandtok train vocoder default --data CORPUS --output runs/vocoder
    """
    return VocoderTraining(
        loop=LoopConfig(steps=3800, save_every=200),
        learning_rate=6e-4,
        tokenizer="bundled",
        decoded_mel_prob=0.5,
    )


def adversarial() -> VocoderTraining:
    """A second phase against three spectrum discriminators; start it from a trained vocoder.

    Not part of the bundled weights: 15 minutes of it made every measure a little worse.

        bandtok train vocoder adversarial --data CORPUS --init runs/vocoder --output runs/vocoder-2
    """
    return VocoderTraining(
        loop=LoopConfig(steps=1500, warmup_steps=200),
        learning_rate=2e-4,
        tokenizer="bundled",
        discriminator_start_step=100,
    )


def joint() -> JointTraining:
    """A last phase with the tokenizer's decoder, codes frozen; start it from a trained vocoder.

    Leaves two models that belong together, RUN/model/tokenizer and RUN/model/vocoder.

        bandtok train vocoder joint --data CORPUS --init runs/vocoder --output runs/joint
    """
    return JointTraining(
        loop=LoopConfig(steps=2000, warmup_steps=100),
        batch_size=5,
        crop_mel_frames=96,
        learning_rate=4e-4,
        tokenizer="bundled",
    )


def joint_sharp() -> JointTraining:
    """`joint` with losses on texture, onsets, pitch and a tagger, and mel discriminators.

    Start it from a trained vocoder, and name a tokenizer whose decoder was trained by
    `train tokenizer sharpen` (any other grows the same untrained parts). Needs the musicnn package
    (`--set tagger_weight=0` leaves it out). Expected from the decoder of `sharpen` and the vocoder
    of `joint`, on the test split: flicker 0.94, grain 0.87, embedding distance 0.10, mel distance
    below 15 kHz 0.35. The bundled weights are the mean of three checkpoints of such a run, whose
    settings were changed on the way (docs/lab/LOG.md, 2026-11-30). Hardware: one CPU core with
    bfloat16, 2.5 GB of memory, 2 s per step: 80 minutes.

        bandtok train vocoder joint_sharp --data CORPUS --init runs/vocoder --output runs/sharp \\
            --set tokenizer=runs/sharpened
    """
    return JointTraining(
        loop=LoopConfig(
            steps=2400,
            warmup_steps=40,
            validate_every=200,
            save_every=200,
            ema_decay=0.99,
        ),
        batch_size=5,
        crop_mel_frames=96,
        learning_rate=5e-4,
        decoder_learning_rate=4e-4,
        discriminator_learning_rate=4e-4,
        augmentation=Augmentation(gain_db=(-12.0, 3.0), synthetic_share=0.06, bandwidth_power=2.0),
        mel_weight=0.4,
        resolution_weight=0.2,
        decoded_mel_weight=0.3,
        texture_weight=0.1,
        onset_weight=0.1,
        pitch_weight=0.3,
        tagger_weight=1.0,
        discriminators="mel",
        discriminator_start_step=1,
        adversarial_weight=0.6,
        feature_matching_weight=10.0,
        tokenizer="bundled",
        decoder_fine_blocks=2,
        decoder_noise_channels=4,
        precision="bfloat16",
    )


def joint_sharp_gpu() -> JointTraining:
    """`joint_sharp` for an accelerator: larger batches, and spectrum discriminators as well.

    `tools/train_sound_gpu.sh` runs it for nine minutes. Not yet measured on a GPU.

        bandtok train vocoder joint_sharp_gpu --data CORPUS --init runs/vocoder --output runs/sharp
    """
    return replace(
        joint_sharp(),
        batch_size=32,
        crop_mel_frames=128,
        discriminators="mel+spectrum",
    )


def finetune() -> JointTraining:
    """The bundled decoder and vocoder together on music of one's own; tokens stay valid.

    `joint_sharp` at a fifth of its rates and without the tagger. Leaves RUN/model/tokenizer and
    RUN/model/vocoder. Hardware: one CPU core, 2.5 GB of memory, about 2 s per step.

        bandtok train vocoder finetune --data MUSIC --output runs/sound
    """
    recipe = joint_sharp()
    return replace(
        recipe,
        loop=LoopConfig(
            steps=600,
            warmup_steps=40,
            ema_decay=0.99,
            log_every=10,
            validate_every=100,
            save_every=50,
        ),
        learning_rate=1e-4,
        decoder_learning_rate=8e-5,
        tagger_weight=0.0,
        init="bundled",
    )


def debug() -> VocoderTraining:
    """A few seconds on any folder; for tests."""
    return VocoderTraining(
        network=DEBUG_VOCODER,
        loop=LoopConfig(steps=6, warmup_steps=2, log_every=2, validate_every=3, save_every=3),
        batch_size=2,
        crop_mel_frames=32,
        discriminator_start_step=3,
        validation_crops=2,
    )
