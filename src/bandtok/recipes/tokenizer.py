"""Complete tokenizer runs, by name."""

from __future__ import annotations

from bandtok.tokenizer.config import DEBUG_TOKENIZER
from bandtok.training.loop import LoopConfig
from bandtok.training.tokenizer import TokenizerTraining


def default() -> TokenizerTraining:
    """The bundled tokenizer's first phase: everything trained, L1 only."""
    return TokenizerTraining(loop=LoopConfig(steps=4000))


def sharpen() -> TokenizerTraining:
    """The bundled tokenizer's second phase: codes frozen, decoder against three patch judges."""
    return TokenizerTraining(
        loop=LoopConfig(steps=1500, warmup_steps=200),
        learning_rate=2e-4,
        freeze_codes=True,
        adversarial_after=200,
    )


def debug() -> TokenizerTraining:
    """A few seconds on any folder; for tests."""
    return TokenizerTraining(
        network=DEBUG_TOKENIZER,
        loop=LoopConfig(steps=8, warmup_steps=2, log_every=2, validate_every=4, save_every=4),
        batch_size=2,
        crop_mel_frames=64,
        quantize_after=2,
        revive_every=2,
        adversarial_after=5,
        validation_crops=2,
    )
