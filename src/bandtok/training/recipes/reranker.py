"""Complete runs of the reranker, by name."""

from __future__ import annotations

from bandtok.lm.reranker_config import DEBUG_RERANKER
from bandtok.training.loop import LoopConfig
from bandtok.training.reranker import RerankerTraining


def bundled() -> RerankerTraining:
    """The bundled reranker: 1.6 M parameters, on the shards of the language model.

    Hardware: one CPU core for half an hour. The bundled weights are such a run,
    continued for 2,004 steps on more music (docs/lab/LOG.md).

        bandtok train reranker bundled --data SHARDS --output runs/reranker
    """
    return RerankerTraining(
        loop=LoopConfig(
            steps=1500, warmup_steps=50, ema_decay=0.995, validate_every=500, save_every=250
        )
    )


def debug() -> RerankerTraining:
    """A few seconds on any shards of the debug tokenizer; for tests.

    bandtok train reranker debug --data SHARDS --output runs/debug
    """
    return RerankerTraining(
        network=DEBUG_RERANKER,
        loop=LoopConfig(steps=6, warmup_steps=2, log_every=2, validate_every=3, save_every=3),
        batch_size=3,
        frames=(2, 8),
        tokenizer="",
        validation_windows=6,
        device="cpu",
    )
