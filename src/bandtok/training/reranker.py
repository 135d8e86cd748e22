"""Contrastive training of the reranker: match music with captions, and captions with music.

Windows of token shards are sampled at random, each with one of its captions. The batch of a step
depends only on (seed, step).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW, Optimizer

from bandtok.data.shards import TokenCorpus
from bandtok.device import choose_device
from bandtok.errors import ConfigError
from bandtok.lm.reranker import Reranker
from bandtok.lm.reranker_config import RerankerConfig
from bandtok.lm.text_embeddings import TextEncoder
from bandtok.model_specs import RERANKER_SPEC
from bandtok.torch_checkpoint import save_network
from bandtok.training.captioned_windows import CaptionedWindows, CaptionStates
from bandtok.training.loop import LoopConfig, apply_gradients


@dataclass(frozen=True, kw_only=True)
class RerankerTraining:
    """A complete run of a reranker.

    Attributes:
        network: the model; what describes the tokenizer is taken from the shards.
        batch_size: pairs of music and caption contrasted in a step.
        frames: shortest and longest window; each step samples a length.
        learning_rate, weight_decay: of AdamW.
        tokenizer: whose codebook the code vectors start from: "bundled", a name or folder, or ""
            to start from random ones.
        validation_windows: fixed windows of the valid split, contrasted `batch_size` at a time.
        device: "auto" takes an accelerator if there is one.
        init: model whose weights the run begins with: "bundled", a name or folder; "" for random
            weights.
    """

    network: RerankerConfig = field(default_factory=RerankerConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    batch_size: int = 64
    frames: tuple[int, int] = (24, 64)
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    tokenizer: str = "bundled"
    validation_windows: int = 256
    device: str = "auto"
    init: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.frames[0] <= self.frames[1]:
            raise ConfigError(f"got frames {self.frames}; expected the shorter length first")
        if min(self.batch_size, self.validation_windows) < 2:
            raise ConfigError(
                f"got batch_size {self.batch_size} and validation_windows "
                f"{self.validation_windows}; expected at least 2, something to choose from"
            )


class RerankerTask:
    """Reranker training for the loop; see loop.TrainingTask.

    Args:
        recipe: the run.
        corpus: token shards.
        encoder: the text encoder that the recipe's network names.
        codebook: float [codebook_size, code_dim], what the code vectors start from; None leaves
            them random.
    """

    def __init__(
        self,
        recipe: RerankerTraining,
        corpus: TokenCorpus,
        encoder: TextEncoder,
        codebook: Tensor | None = None,
    ) -> None:
        self.recipe = recipe
        self.device = torch.device(choose_device(recipe.device))
        spec = corpus.tokenizer
        self.config = replace(
            recipe.network,
            num_bands=spec.num_bands,
            codebook_size=spec.codebook_size,
            tokenizer_fingerprint=spec.fingerprint,
            text_dim=encoder.dim,
        )
        torch.manual_seed(recipe.loop.seed)
        network = Reranker(self.config)
        if codebook is not None:
            network.start_from_codebook(codebook)
        self.network: nn.Module = network.to(self.device)
        self.modules: Mapping[str, nn.Module] = {"network": self.network}
        self.optimizers: Mapping[str, Optimizer] = {"all": _optimizer(network, recipe)}
        self.captions = CaptionStates(encoder)
        self.train = CaptionedWindows(corpus, "train", recipe.frames[1])
        valid = CaptionedWindows(corpus, "valid", recipe.frames[1])
        self.valid = valid.spread(recipe.validation_windows)

    def step(self, step: int) -> dict[str, float]:
        self.network.train()
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        rng = np.random.default_rng((self.recipe.loop.seed, step))
        windows = self.train.sample(self.recipe.batch_size, rng)
        frames = int(rng.integers(self.recipe.frames[0], windows.codes.shape[2] + 1))
        scores = self._scores(self.network, windows.codes[:, :, :frames], windows.captions)
        loss = choice_loss(scores)
        loss.backward()
        total = float(loss.detach())
        norm = apply_gradients(total, self.network, self.optimizers.values())
        return {"loss": total, "gradient_norm": norm}

    def validate(self, network: nn.Module) -> dict[str, float]:
        size, losses, right = self.recipe.batch_size, [], []
        # Spread over the batches, so that windows of one track are not contrasted with each other.
        batches = max(1, len(self.valid.captions) // size)
        for first in range(batches):
            chosen = slice(first, None, batches)
            scores = self._scores(network, self.valid.codes[chosen], self.valid.captions[chosen])
            losses.append(float(choice_loss(scores)))
            right.append(
                float((scores.argmax(dim=1).cpu() == torch.arange(len(scores))).float().mean())
            )
        return {"loss": float(np.mean(losses)), "caption_found": float(np.mean(right))}

    def log_images(self, network: nn.Module) -> dict[str, np.ndarray]:
        return {}

    def export(self, network: nn.Module, folder: Path) -> None:
        save_network(network, folder, RERANKER_SPEC.name)

    def _scores(self, network: nn.Module, codes: Tensor, captions: list[str]) -> Tensor:
        """Return float [windows, captions], the similarity of each pair."""
        assert isinstance(network, Reranker)
        text = self.captions(captions)
        music = network.encode_codes(codes.to(self.device))
        return music @ network.encode_text(text).mT * network.scale()


def choice_loss(scores: Tensor) -> Tensor:
    """Return the mean nats of choosing the right caption, and the right music, of float [n, n]."""
    own = torch.arange(len(scores), device=scores.device)
    return (functional.cross_entropy(scores, own) + functional.cross_entropy(scores.mT, own)) / 2


def _optimizer(network: nn.Module, recipe: RerankerTraining) -> Optimizer:
    """Return AdamW whose weight decay spares gains, biases and other single vectors."""
    parameters = list(network.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.95))
