"""Complete tokenizer runs, by name."""

from __future__ import annotations

from dataclasses import fields, replace

from bandtok.data.waveforms import Augmentation
from bandtok.tokenizer.config import DEBUG_TOKENIZER, TokenizerConfig
from bandtok.tokenizer.residual_config import DEBUG_RESIDUAL, ResidualConfig
from bandtok.training.loop import LoopConfig
from bandtok.training.residual import ResidualTraining
from bandtok.training.tokenizer import TokenizerTraining


def default() -> TokenizerTraining:
    """The first part of the bundled tokenizer: 5.7 M parameters, 4,096 codes, plain L1.

    Expected: mel_loss_below_15_khz 0.2975 on the valid split of the open-music corpus, 3,232 codes
    used by 48 crops. Hardware: one CPU core, about 1 GB of memory; 128 minutes (with another
    run on the machine), in two parts, to step 1,900 and then to 5,400 (docs/lab/LOG.md).
    `lm_friendly` follows.

        bandtok train tokenizer default --data CORPUS --output runs/tokenizer
    """
    return TokenizerTraining(
        loop=LoopConfig(steps=5400, validate_every=400),
        batch_size=6,
        learning_rate=8e-4,
        quantize_start_step=120,
    )


def lm_friendly() -> TokenizerTraining:
    """The last part of the bundled tokenizer: codes that are easier to predict.

    Start it from a trained tokenizer; the codebook is re-initialized. Expected:
    mel_loss_below_15_khz 0.302 on the valid split of the open-music corpus, 0.004 more than before,
    and 0.35 nats per token less for a small language model (docs/lab/codes-for-generation.md). The
    bundled weights also used rendered music from step 561; their decoder was then trained further
    by `train vocoder joint`. Hardware: one CPU core; 54 minutes with another run on the machine.

        bandtok train tokenizer lm_friendly --data CORPUS --init runs/tokenizer --output runs/codes
    """
    return replace(
        default(),
        loop=LoopConfig(steps=1800, warmup_steps=60, validate_every=250, save_every=50),
        learning_rate=6e-4,
        quantize_start_step=0,
        predictability_weight=0.2,
        loud_weight=0.3,
        augmentation=Augmentation(
            gain_db=(-24.0, 12.0), speed=(0.9, 1.12), synthetic_share=0.06, bandwidth_power=2.0
        ),
    )


def sharpen() -> TokenizerTraining:
    """A second phase with the codes frozen: the decoder against three scales of discriminators.

    Start it from a trained tokenizer; the decoder grows by a fine stage and a noise input. Strong
    feature matching does most of the work. With these weights and no growth, 30 minutes from the
    bundled tokenizer raised the flicker of the decoded mel from 0.45 to 0.77 and halved the
    embedding distance at 0.035 of mel distance (ten excerpts of rock and pop). Not part of the
    bundled weights. Hardware: one CPU core with bfloat16, about 0.5 to 1 s per step.

        bandtok train tokenizer sharpen --data CORPUS --init runs/tokenizer --output runs/sharpened
    """
    return TokenizerTraining(
        network=TokenizerConfig(decoder_fine_blocks=2, decoder_noise_channels=4),
        loop=LoopConfig(steps=1600, warmup_steps=50, validate_every=150, ema_decay=0.99),
        batch_size=6,
        learning_rate=3e-4,
        discriminator_learning_rate=4e-4,
        augmentation=Augmentation(gain_db=(-24.0, 12.0), synthetic_share=0.06, bandwidth_power=2.0),
        freeze_codes=True,
        discriminator_start_step=1,
        adversarial_weight=0.3,
        feature_matching_weight=4.0,
        precision="bfloat16",
    )


def finetune() -> TokenizerTraining:
    """The bundled decoder alone on music of one's own; tokens stay valid.

    `sharpen` at a third of its rates. `train vocoder finetune` trains the vocoder with it. With
    `--set freeze_codes=false --set keep_codebook=true` encoder and codebook follow the music too:
    that makes a new tokenizer, whose tokens no language model knows yet. Hardware: as `sharpen`.

        bandtok train tokenizer finetune --data MUSIC --output runs/tokenizer
    """
    return replace(
        sharpen(),
        loop=LoopConfig(
            steps=400, warmup_steps=40, validate_every=100, save_every=50, ema_decay=0.99
        ),
        learning_rate=1e-4,
        init="bundled",
    )


def probe() -> TokenizerTraining:
    """A quarter of the default's arithmetic per step and 300 steps, for ablations.

    `python -m research.benchmarks.ablations` runs it with one setting changed at a time.
    Hardware: one CPU core, 3 to 4 minutes.

        bandtok train tokenizer probe --data CORPUS --output runs/probe --set code_dim=8
    """
    return TokenizerTraining(
        network=TokenizerConfig(base_channels=48, grid_channels=96),
        loop=LoopConfig(
            steps=300, warmup_steps=30, validate_every=300, save_every=300, ema_decay=0.98
        ),
        batch_size=6,
        learning_rate=1e-3,
        quantize_start_step=60,
    )


def residual() -> ResidualTraining:
    """The baseline of residual tokens: the default's blocks and bit rate, 16 codebooks in layers.

    A frame has one latent, so a codebook sees a sixteenth of the vectors that the default's sees.
    No full run of it has been made. Hardware: as the default.

        bandtok train tokenizer residual --data CORPUS --output runs/residual
    """
    return _in_layers(default(), ResidualConfig())


def residual_probe() -> ResidualTraining:
    """`probe` with residual tokens: as many steps on as much music with the same blocks.

    bandtok train tokenizer residual_probe --data CORPUS --output runs/residual-probe
    """
    network = ResidualConfig(base_channels=48, grid_channels=96, code_dim=64)
    return _in_layers(probe(), network)


def residual_debug() -> ResidualTraining:
    """A few seconds on any folder; for tests."""
    return _in_layers(debug(), DEBUG_RESIDUAL)


def debug() -> TokenizerTraining:
    """A few seconds on any folder; for tests."""
    return TokenizerTraining(
        network=DEBUG_TOKENIZER,
        loop=LoopConfig(steps=8, warmup_steps=2, log_every=2, validate_every=4, save_every=4),
        batch_size=2,
        crop_mel_frames=64,
        quantize_start_step=2,
        check_dead_codes_every=2,
        discriminator_start_step=5,
        validation_crops=2,
    )


def _in_layers(recipe: TokenizerTraining, network: ResidualConfig) -> ResidualTraining:
    """Return the same run for residual tokens.

    Four vectors an entry start a codebook instead of 16: a frame gives only one.
    """
    same = {field.name: getattr(recipe, field.name) for field in fields(recipe)}
    return ResidualTraining(**{**same, "network": network, "start_vectors_per_entry": 4})
