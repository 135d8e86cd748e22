"""The language model's game: score every token of a window given those before it and a caption.

Windows of token shards are drawn at random, each with one of its track's captions or, now and then,
none, so that one network learns both halves of guidance. The batch of a step depends only on
(seed, step).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import matplotlib
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW, Optimizer

from bandtok.checkpoint import save_network
from bandtok.data.captions import full_window_caption, window_caption
from bandtok.data.shards import TokenCorpus
from bandtok.data.token_windows import TokenWindows, WindowSampler
from bandtok.errors import ConfigError
from bandtok.grid import flatten
from bandtok.music_lm.config import MusicLMConfig
from bandtok.music_lm.generation import generate_codes
from bandtok.music_lm.model import MusicLM
from bandtok.music_lm.text import TextEncoder, TextStates, pad_states
from bandtok.networks import MUSIC_LM_KIND
from bandtok.training.images import stack_images
from bandtok.training.loop import LoopConfig, update

_KNOWN_CAPTIONS = 4096


@dataclass(frozen=True, kw_only=True)
class MusicLMTraining:
    """A complete language model run.

    Attributes:
        network: the model; what describes the tokenizer is taken from the shards.
        null_share: share of windows that are trained without their caption.
        captions_per_track: different wordings of each track's caption.
        max_frame_offset: positions of a window start at a random frame up to this; 0 for always 0.
        validation_windows: fixed windows of the valid split.
        sampled_frames: length of the grid drawn at each validation; 0 for none.
        device: "auto" takes an accelerator if there is one.
        precision: "bfloat16" runs matrix products on an accelerator in half precision.
    """

    network: MusicLMConfig = field(default_factory=MusicLMConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    batch_size: int = 4
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.1
    null_share: float = 0.1
    captions_per_track: int = 16
    max_frame_offset: int = 0
    validation_windows: int = 32
    sampled_frames: int = 32
    device: str = "auto"
    precision: str = "float32"

    def __post_init__(self) -> None:
        if not 0.0 <= self.null_share <= 1.0:
            raise ConfigError(f"got null_share {self.null_share}; expected 0 to 1")
        if self.precision not in ("float32", "bfloat16"):
            raise ConfigError(f"got precision {self.precision!r}; expected float32 or bfloat16")
        for name in ("batch_size", "captions_per_track", "validation_windows"):
            if getattr(self, name) < 1:
                raise ConfigError(f"got {name} {getattr(self, name)}; expected at least 1")


class CaptionStates:
    """Text states of captions; the last few thousand distinct ones are not encoded again.

    Args:
        encoder: turns captions into states.
    """

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder
        self._known: dict[str, Tensor] = {}

    def __call__(self, captions: Sequence[str]) -> TextStates:
        if len(self._known) > _KNOWN_CAPTIONS:
            self._known.clear()
        new = [text for text in dict.fromkeys(captions) if text not in self._known]
        if new:
            encoded = self._encoder.encode(new)
            for text, states, mask in zip(new, encoded.states, encoded.mask, strict=True):
                self._known[text] = states[mask].clone()
        return pad_states([self._known[text] for text in captions], self._encoder.dim)


class MusicLMTask:
    """Plays language model training for the loop; see loop.TrainingTask.

    Args:
        recipe: the run.
        corpus: token shards.
        encoder: the text encoder that the recipe's network names.
    """

    def __init__(self, recipe: MusicLMTraining, corpus: TokenCorpus, encoder: TextEncoder) -> None:
        self.recipe = recipe
        self.device = _device(recipe.device)
        self.config = fit_to_corpus(recipe.network, corpus, encoder)
        torch.manual_seed(recipe.loop.seed)
        self.network: nn.Module = MusicLM(self.config).to(self.device)
        self.modules: Mapping[str, nn.Module] = {"network": self.network}
        self.optimizers: Mapping[str, Optimizer] = {"network": _optimizer(self.network, recipe)}
        self.train = WindowSampler(corpus, corpus.split("train"), self.config.window_frames)
        valid = corpus.split("valid") or corpus.split("train")[-1:]
        windows = WindowSampler(corpus, valid, self.config.window_frames)
        self.valid = windows.spread(recipe.validation_windows)
        self.valid_codes = self.valid.codes
        self.captions = CaptionStates(encoder)
        counts = self.train.band_counts(self.config.codebook_size)
        self.unigram_loss = unigram_loss(counts, self.valid_codes.numpy())

    def step(self, step: int) -> dict[str, float]:
        draw = np.random.default_rng((self.recipe.loop.seed, step))
        windows = self.train.draw(self.recipe.batch_size, draw)
        text = self.captions(self._captions(windows, draw))
        offset = int(draw.integers(self.recipe.max_frame_offset + 1))
        self.network.train()
        with self._precision():
            loss = self._token_losses(self.network, windows.codes, text, offset).mean()
        norm = update(loss, self.network, self.optimizers["network"])
        return {"loss": float(loss.detach()), "gradient_norm": norm}

    def validate(self, network: nn.Module) -> dict[str, float]:
        captions = self._full_captions(self.valid)
        with_text = self._validation_losses(network, captions)
        without = self._validation_losses(network, [""] * len(captions))
        numbers = {
            "loss": float(with_text.mean()),
            "loss_without_text": float(without.mean()),
            "unigram_loss": self.unigram_loss,
        }
        for band, loss in enumerate(with_text.mean(dim=(0, 1)).tolist()):
            numbers[f"loss_band_{band:02d}"] = loss
        return numbers

    def pictures(self, network: nn.Module) -> dict[str, np.ndarray]:
        frames = self.recipe.sampled_frames
        if not frames:
            return {}
        assert isinstance(network, MusicLM)
        text = self.captions(self._full_captions(self.valid)[:1])
        with self._precision():
            sampled = generate_codes(network, text, frames)
        grids = (self.valid_codes[0, :, :frames], sampled[:, : self.config.window_frames])
        width = min(grid.shape[1] for grid in grids)
        images = [grid_image(grid[:, :width], self.config.codebook_size) for grid in grids]
        return {"grid-real-sampled": stack_images(images)}

    def export(self, network: nn.Module, folder: Path) -> None:
        save_network(network, folder, MUSIC_LM_KIND.name)

    def _captions(self, windows: TokenWindows, draw: np.random.Generator) -> list[str]:
        """Return a caption for each window, or none for a share of them."""
        frames = self.config.window_frames
        captions = [
            window_caption(shard, first, frames, draw)
            for shard, first in zip(windows.shards, windows.first_frames, strict=True)
        ]
        dropped = draw.random(len(captions)) < self.recipe.null_share
        return ["" if drop else text for text, drop in zip(captions, dropped, strict=True)]

    def _full_captions(self, windows: TokenWindows) -> list[str]:
        frames = self.config.window_frames
        return [
            full_window_caption(shard, first, frames)
            for shard, first in zip(windows.shards, windows.first_frames, strict=True)
        ]

    def _validation_losses(self, network: nn.Module, captions: Sequence[str]) -> Tensor:
        """Return float [windows, frames, bands] nats."""
        size = self.recipe.batch_size
        losses = []
        for start in range(0, len(captions), size):
            text = self.captions(captions[start : start + size])
            with self._precision():
                codes = self.valid_codes[start : start + size]
                losses.append(self._token_losses(network, codes, text, 0).float().cpu())
        return torch.cat(losses).unflatten(1, (-1, self.config.num_bands))

    def _token_losses(
        self, network: nn.Module, codes: Tensor, text: TextStates, frame_offset: int
    ) -> Tensor:
        """Return float [batch, frames * bands] nats."""
        tokens = flatten(codes).to(self.device)
        logits = network(tokens, text.to(self.device), frame_offset)
        return functional.cross_entropy(
            logits.flatten(0, 1).float(), tokens.flatten(), reduction="none"
        ).view_as(tokens)

    def _precision(self) -> AbstractContextManager[object]:
        if self.recipe.precision == "float32" or self.device.type == "cpu":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)


def fit_to_corpus(
    config: MusicLMConfig, corpus: TokenCorpus, encoder: TextEncoder
) -> MusicLMConfig:
    """Return the config with the physics of the corpus and the width of the text encoder."""
    facts = corpus.tokenizer
    return replace(
        config,
        num_bands=facts.num_bands,
        codebook_size=facts.codebook_size,
        sample_rate=facts.sample_rate,
        frame_rate=facts.frame_rate,
        tokenizer_fingerprint=facts.fingerprint,
        text_dim=encoder.dim,
    )


def unigram_loss(counts: np.ndarray, codes: np.ndarray) -> float:
    """Return the nats a token of a model that only knows how often each band uses each code.

    Args:
        counts: int [bands, codebook_size] of the training codes; one is added to each.
        codes: int [windows, bands, frames] to score.
    """
    smoothed = counts + 1.0
    logs = np.log(smoothed / smoothed.sum(axis=1, keepdims=True))
    return float(-np.mean([logs[band][codes[:, band]] for band in range(len(counts))]))


def grid_image(codes: Tensor, codebook_size: int, size: int = 8) -> np.ndarray:
    """Draw codes [bands, frames], lowest band at the bottom, each code in a colour of its own."""
    # Neighbouring ids need not sound alike; the golden ratio sets their colours apart.
    hues = (codes.numpy()[::-1] * 0.618034) % 1.0 if codebook_size > 1 else codes.numpy()
    rgb: np.ndarray = matplotlib.colormaps["hsv"](hues, bytes=True)[..., :3]
    return rgb.repeat(size, 0).repeat(size, 1)


def _optimizer(network: nn.Module, recipe: MusicLMTraining) -> AdamW:
    matrices = [p for p in network.parameters() if p.ndim == 2]
    others = [p for p in network.parameters() if p.ndim != 2]
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.95))


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
