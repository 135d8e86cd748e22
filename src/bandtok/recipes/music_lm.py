"""Complete language model runs, by name."""

from __future__ import annotations

from dataclasses import replace

from bandtok.music_lm.config import DEBUG_MUSIC_LM, MusicLMConfig
from bandtok.training.loop import LoopConfig
from bandtok.training.music_lm import MusicLMTraining


def default() -> MusicLMTraining:
    """2D positions, 8 layers, 6.9 M parameters, windows of 64 frames (5.9 s).

    The bundled model is this with 4 layers and no dropout: 5.36 nats a token on held-out tracks
    (uniform 8.32) after 46 minutes on one CPU core, 830 steps, still falling. Eight layers take
    about 6 s a step there, four 3.5 s.
    Hardware: CPU cores, or one accelerator with --set device=cuda --set precision=bfloat16 (this
    path has not been run yet).

        bandtok data tokenize CORPUS --out SHARDS --offsets 8
        bandtok train lm default --data SHARDS --out runs/lm --max-minutes 120
    """
    return MusicLMTraining(
        network=MusicLMConfig(dropout=0.1),
        loop=LoopConfig(steps=6000, warmup_steps=100, validate_every=250),
    )


def control_1d() -> MusicLMTraining:
    """The default run with plain 1D positions; bands are told apart by their embedding alone.

    bandtok train lm control_1d --data SHARDS --out runs/lm-1d --max-minutes 120
    """
    recipe = default()
    return replace(recipe, network=replace(recipe.network, rope="1d"))


def debug() -> MusicLMTraining:
    """A few seconds on any shards of the debug tokenizer; for tests.

    bandtok train lm debug --data SHARDS --out runs/debug
    """
    return MusicLMTraining(
        network=DEBUG_MUSIC_LM,
        loop=LoopConfig(steps=6, warmup_steps=2, log_every=2, validate_every=3, save_every=3),
        batch_size=2,
        captions_per_track=3,
        validation_windows=3,
        sampled_frames=2,
        device="cpu",
    )
