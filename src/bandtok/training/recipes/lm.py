"""Complete language model runs, by name."""

from __future__ import annotations

from dataclasses import replace

from bandtok.lm.config import DEBUG_MUSIC_LM, MusicLMConfig
from bandtok.training.lm import LMTraining
from bandtok.training.loop import LoopConfig


def default() -> LMTraining:
    """2D positions, 6 layers, 6.3 M parameters, windows of 64 frames (5.9 s).

    Hardware: CPU cores, or one accelerator with --set precision=bfloat16.

        bandtok data tokenize CORPUS --output SHARDS --offsets 8
        bandtok train lm default --data SHARDS --output runs/lm --max-minutes 240
    """
    return LMTraining(
        network=MusicLMConfig(beat_conditioning=True),
        loop=LoopConfig(steps=6000, warmup_steps=100, validate_every=250),
    )


def bundled() -> LMTraining:
    """The bundled model: 13 M parameters, windows of 96 frames (8.9 s).

    Hardware: one accelerator with 80 GB for ten minutes. Music is scarce compared with what such a
    machine can read, hence the drop-out and the variants. The bundled weights are of two such runs,
    the second with `--init bundled` and three quarters of the rates (see the log).

        bandtok data rendered --output SOLOS --hours 24 --seed 1 --style solo \\
            --style solo-with-chords --style duet
        bandtok data tokenize SOLOS CORPUS RENDERED --output SHARDS --offsets 2 --gain-db 0 \\
            --gain-db -5 --semitones 0 --semitones 1
        bandtok train lm bundled --data SHARDS --output runs/lm
    """
    return LMTraining(
        network=MusicLMConfig(
            model_dim=384,
            num_layers=6,
            num_heads=6,
            num_kv_heads=2,
            mlp_dim=1536,
            condition_dim=192,
            beat_conditioning=True,
            dropout=0.1,
            window_frames=96,
        ),
        loop=LoopConfig(steps=5400, warmup_steps=200, validate_every=1800, save_every=1000),
        batch_size=85,
        weight_decay=0.02,
        infill_prob=0.2,
        prefix_loss_weight=2.0,
        validation_windows=128,
        sampled_frames=0,
        precision="bfloat16",
        compile=True,
    )


def finetune() -> LMTraining:
    """The bundled model on a few minutes of music of one's own, at a tenth of the rates.

    The model is written while the loss on held-out tracks falls and kept after that, so that it
    does not learn the music by heart; `evaluate generation --training-data` counts copies.
    Hardware: one CPU core, about 6 s per step; half an hour for 20 minutes of music.

        bandtok data describe MUSIC
        bandtok data tokenize MUSIC --output SHARDS
        bandtok train lm finetune --data SHARDS --output runs/lm
    """
    recipe = bundled()
    return replace(
        recipe,
        loop=LoopConfig(
            steps=300,
            warmup_steps=20,
            ema_decay=0.98,
            log_every=5,
            validate_every=25,
            save_every=25,
            keep_best=True,
        ),
        batch_size=4,
        learning_rate=2e-4,
        matrix_lr=2e-3,
        validation_windows=24,
        precision="float32",
        compile=False,
        init="bundled",
    )


def control_1d() -> LMTraining:
    """The default run with plain 1D positions; bands differ by their embedding alone.

    bandtok train lm control_1d --data SHARDS --output runs/lm-1d --max-minutes 120
    """
    recipe = default()
    return replace(recipe, network=replace(recipe.network, rope="1d"))


def delay() -> LMTraining:
    """The default run in MusicGen's delay pattern: row k of a frame comes k frames after row 0.

    Meant for residual tokens, whose rows are layers.

        bandtok train lm delay --data SHARDS --output runs/lm-delay --set tokenizer=runs/residual
    """
    recipe = default()
    return replace(recipe, network=replace(recipe.network, order="delay"))


def large_100m() -> LMTraining:
    """100 M parameters, windows of 128 frames (11.9 s); for hundreds of hours of music.

    Hardware: one accelerator. Its size is tested and a step of it with smaller widths; no full run
    has been made.

        bandtok train lm large_100m --data SHARDS --output runs/lm-100m
    """
    return LMTraining(
        network=MusicLMConfig(
            model_dim=768,
            num_layers=14,
            num_heads=12,
            num_kv_heads=4,
            mlp_dim=3072,
            condition_dim=256,
            beat_conditioning=True,
            dropout=0.1,
            window_frames=128,
        ),
        loop=LoopConfig(steps=100_000, warmup_steps=1000, validate_every=2000, save_every=1000),
        batch_size=16,
        grad_accum_steps=2,
        learning_rate=1e-3,
        matrix_lr=0.01,
        precision="bfloat16",
    )


def large_350m() -> LMTraining:
    """350 M parameters, windows of 256 frames (23.8 s); for thousands of hours of music.

    Hardware: one accelerator with 80 GB, or fewer windows at a time and more accumulation. Tested
    as far as `large_100m` is.

        bandtok train lm large_350m --data SHARDS --output runs/lm-350m
    """
    recipe = large_100m()
    return replace(
        recipe,
        network=replace(
            recipe.network,
            model_dim=1152,
            num_layers=22,
            num_heads=18,
            num_kv_heads=6,
            mlp_dim=4608,
            window_frames=256,
        ),
        loop=replace(recipe.loop, steps=200_000, warmup_steps=2000),
        batch_size=8,
        grad_accum_steps=8,
        learning_rate=6e-4,
        matrix_lr=0.006,
    )


def debug() -> LMTraining:
    """A few seconds on any shards of the debug tokenizer; for tests.

    bandtok train lm debug --data SHARDS --output runs/debug
    """
    return LMTraining(
        network=DEBUG_MUSIC_LM,
        loop=LoopConfig(steps=6, warmup_steps=2, log_every=2, validate_every=3, save_every=3),
        batch_size=2,
        tokenizer="",
        validation_windows=3,
        sampled_frames=2,
        device="cpu",
    )
