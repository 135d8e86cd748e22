"""Complete runs of the metronome, by name."""

from __future__ import annotations

from bandtok.music_lm.metronome import DEBUG_METRONOME
from bandtok.training.loop import LoopConfig
from bandtok.training.metronome import MetronomeTraining


def bundled() -> MetronomeTraining:
    """The bundled metronome, on the shards of the language model.

    Hardware: one CPU core for half an hour.

        bandtok train metronome bundled --data SHARDS --out runs/metronome
    """
    return MetronomeTraining(
        loop=LoopConfig(
            steps=1500, warmup_steps=50, ema_decay=0.99, validate_every=250, save_every=250
        )
    )


def debug() -> MetronomeTraining:
    """A few seconds on any shards of the debug tokenizer; for tests.

    bandtok train metronome debug --data SHARDS --out runs/debug
    """
    return MetronomeTraining(
        network=DEBUG_METRONOME,
        loop=LoopConfig(steps=6, warmup_steps=2, log_every=2, validate_every=3, save_every=3),
        batch_size=3,
        window_frames=8,
        captions=4,
        tokenizer="",
        validation_windows=6,
        device="cpu",
    )
