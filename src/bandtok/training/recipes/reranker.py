"""Complete runs of the reranker, by name."""

from __future__ import annotations

from dataclasses import replace

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


def finetune() -> RerankerTraining:
    """The bundled reranker on music of one's own, at a tenth of the rate.

    The model is written while it finds the captions of held-out music better. Hardware: one CPU
    core, a few minutes.

        bandtok train reranker finetune --data SHARDS --output runs/reranker
    """
    recipe = bundled()
    return replace(
        recipe,
        loop=LoopConfig(
            steps=200,
            warmup_steps=10,
            ema_decay=0.98,
            validate_every=20,
            save_every=20,
            keep_best=True,
        ),
        batch_size=32,
        learning_rate=2e-4,
        validation_windows=64,
        init="bundled",
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
