"""Language model training: predict every token of a window from those before it and a caption.

Windows of token shards are sampled at random, each with one of its track's captions or, now and
then, none, so that one network learns both halves of guidance. The batch of a step depends only on
(seed, step).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW, Optimizer

from bandtok.backends.torch_lm import TorchLanguageModel
from bandtok.data.shards import TokenCorpus
from bandtok.device import choose_device
from bandtok.errors import ConfigError
from bandtok.lm.beat import TEMPO_BINS, BeatGrid
from bandtok.lm.config import MusicLMConfig, TokenOrder
from bandtok.lm.generate import CodeRequest, generate_codes
from bandtok.lm.model import MusicLM
from bandtok.lm.text_embeddings import TextEmbeddings, TextEncoder
from bandtok.lm.token_order import flatten, unflatten, window_order
from bandtok.model_specs import LM_SPEC
from bandtok.tokens.grid import TokenGrid
from bandtok.torch_checkpoint import save_network
from bandtok.training.captioned_windows import (
    CaptionedWindows,
    CaptionStates,
    other_captions,
)
from bandtok.training.images import grid_image, stack_images
from bandtok.training.loop import LoopConfig, apply_gradients
from bandtok.training.muon import Muon
from bandtok.training.prefetch import Prefetch
from bandtok.training.regions import middle_gap, sample_known_cells
from bandtok.training.token_loss import mean_row_loss, row_losses, unigram_loss

CANDIDATE_PREFIX_FRAMES = 16
"""Frames in which the extra weight of a prefix falls to a third (1/e): 1.5 s of bundled codes."""


@dataclass(frozen=True, kw_only=True)
class LMTraining:
    """A complete language model run.

    Attributes:
        network: the model; what describes the tokenizer is taken from the shards.
        batch_size: windows that go through the network together.
        grad_accum_steps: batches whose gradients make up one step.
        learning_rate: of embeddings, gains and the text's network (AdamW).
        matrix_lr: of the transformer's matrices (Muon).
        weight_decay: of all matrices.
        tokenizer: whose codebook the code vectors start from: "bundled", a name or folder, or ""
            to start from random ones.
        caption_dropout: share of windows that are trained without their caption.
        beat_prob: probability that a captioned window is conditioned on its beat, where known; for
            windows without a caption, the probability that it is not.
        tempo_weight: weight of predicting the tempo from the caption.
        infill_prob: share of windows of which a part is known beforehand.
        known_token_loss_weight: what a known token's own loss counts in such a window.
        prefix_loss_weight: by how much more the first frame of any other window counts, dying away
            over `CANDIDATE_PREFIX_FRAMES`: there the text is the only condition.
        validation_windows: fixed windows of the valid split.
        sampled_frames: length of the grid sampled at each validation; 0 for none.
        device: "auto" takes an accelerator if there is one.
        precision: "bfloat16" runs matrix products on an accelerator in half precision.
        compile: let torch compile the transformer on an accelerator, which takes a minute.
        init: model whose weights the run begins with: "bundled", a name or folder; "" for random
            weights.
    """

    network: MusicLMConfig = field(default_factory=MusicLMConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    batch_size: int = 4
    grad_accum_steps: int = 1
    learning_rate: float = 2e-3
    matrix_lr: float = 0.02
    weight_decay: float = 0.01
    tokenizer: str = "bundled"
    caption_dropout: float = 0.1
    beat_prob: float = 0.7
    tempo_weight: float = 0.1
    infill_prob: float = 0.25
    known_token_loss_weight: float = 0.25
    prefix_loss_weight: float = 0.0
    validation_windows: int = 32
    sampled_frames: int = 32
    device: str = "auto"
    precision: str = "float32"
    compile: bool = False
    init: str = ""

    def __post_init__(self) -> None:
        for name in ("caption_dropout", "beat_prob", "infill_prob", "known_token_loss_weight"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"got {name} {getattr(self, name)}; expected 0 to 1")
        if self.precision not in ("float32", "bfloat16"):
            raise ConfigError(f"got precision {self.precision!r}; expected float32 or bfloat16")
        for name in ("prefix_loss_weight", "tempo_weight"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"got {name} {getattr(self, name)}; expected 0 or more")
        for name in ("batch_size", "grad_accum_steps", "validation_windows"):
            if getattr(self, name) < 1:
                raise ConfigError(f"got {name} {getattr(self, name)}; expected at least 1")


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """Windows on the training device: [windows, length] each, and a row of text for each.

    With beat conditioning also a row of the beat grid, and the tempo bin int64 [windows] that the
    caption is to predict, -1 for none.
    """

    tokens: Tensor
    order: Tensor
    weights: Tensor
    text: TextEmbeddings
    beat_grid: BeatGrid | None
    tempo: Tensor


class LMTask:
    """Language model training for the loop; see loop.TrainingTask.

    Args:
        recipe: the run.
        corpus: token shards.
        encoder: the text encoder that the recipe's network names.
        codebook: float [codebook_size, code_dim], what the code vectors start from; None leaves
            them random.
    """

    def __init__(
        self,
        recipe: LMTraining,
        corpus: TokenCorpus,
        encoder: TextEncoder,
        codebook: Tensor | None = None,
    ) -> None:
        self.recipe = recipe
        self.device = torch.device(choose_device(recipe.device))
        self.config = fit_to_corpus(recipe.network, corpus, encoder)
        torch.manual_seed(recipe.loop.seed)
        network = MusicLM(self.config)
        if codebook is not None:
            network.start_from_codebook(codebook)
        self.network: nn.Module = network.to(self.device)
        self.modules: Mapping[str, nn.Module] = {"network": self.network}
        self.optimizers: Mapping[str, Optimizer] = _optimizers(network, recipe)
        self.captions = CaptionStates(encoder)
        frames = self.config.window_frames
        self.train = CaptionedWindows(corpus, "train", frames, recipe.caption_dropout)
        valid = CaptionedWindows(corpus, "valid", frames)
        self.valid = valid.spread(recipe.validation_windows)
        self._batches: Callable[[int], list[_Batch]] = self._make_batches
        if self.device.type == "cuda":
            self._stream = torch.cuda.Stream(self.device)
            self._batches = Prefetch(self._make_batches_in_stream)
            torch.set_float32_matmul_precision("high")
        if recipe.compile and self.device.type != "cpu":
            network.transformer.compile(dynamic=False)
        counts = self.train.windows.band_counts(self.config.codebook_size)
        self.unigram_loss = unigram_loss(counts, self.valid.codes.numpy())

    def step(self, step: int) -> dict[str, float]:
        self.network.train()
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for batch in self._batches(step):
            loss = self._loss(batch) / self.recipe.grad_accum_steps
            loss.backward()
            total += float(loss.detach())
        norm = apply_gradients(total, self.network, self.optimizers.values())
        return {"loss": total, "gradient_norm": norm}

    def validate(self, network: nn.Module) -> dict[str, float]:
        captions = self.valid.captions
        raster = torch.zeros(self.valid.codes.shape[1:], dtype=torch.bool)
        gap = middle_gap(*raster.shape)
        with_text = self._validation_losses(network, captions, raster)
        without = self._validation_losses(network, [""] * len(captions), raster)
        wrong = self._validation_losses(network, other_captions(captions), raster)
        infilled = self._validation_losses(network, captions, gap)
        numbers = {
            "loss": float(with_text.mean()),
            "loss_with_text": float(with_text.mean()),
            "loss_without_text": float(without.mean()),
            "loss_with_wrong_text": float(wrong.mean()),
            "text_log_likelihood_ratio": float(wrong.mean() - with_text.mean()),
            "text_gain_prefix": float((wrong - with_text)[..., :CANDIDATE_PREFIX_FRAMES].mean()),
            "loss_infilled": float(infilled[:, ~gap].mean()),
            "loss_infilled_past_only": float(with_text[:, ~gap].mean()),
            "unigram_loss": self.unigram_loss,
        }
        if self.config.beat_conditioning:
            known = torch.from_numpy(self.valid.beat_grid.beats_per_frame > 0)
            with_beat = self._validation_losses(network, captions, raster, self.valid.beat_grid)
            numbers["loss_with_beat"] = float(with_beat.mean())
            gain = (with_text - with_beat)[known]
            numbers["beat_gain"] = float(gain.mean()) if known.any() else 0.0
            numbers["tempo_found"] = self._tempos_found(network)
        for band, loss in enumerate(with_text.mean(dim=(0, 2)).tolist()):
            numbers[f"loss_band_{band:02d}"] = loss
        return numbers

    def log_images(self, network: nn.Module) -> dict[str, np.ndarray]:
        frames = self.recipe.sampled_frames
        if not frames:
            return {}
        assert isinstance(network, MusicLM)
        text = self.captions(self.valid.captions[:1])
        with self._precision():
            request = CodeRequest(num_frames=frames, text=text)
            sampled = generate_codes(TorchLanguageModel(network), request)[0]
        grids = (
            self.valid.codes[0, :, :frames].numpy(),
            sampled[:, : self.config.window_frames],
        )
        width = min(codes.shape[1] for codes in grids)
        size, fingerprint = self.config.codebook_size, self.config.tokenizer_fingerprint
        images = [
            grid_image(
                TokenGrid(codes=codes[:, :width], codebook_size=size, fingerprint=fingerprint)
            )
            for codes in grids
        ]
        return {
            "grid-real-sampled": stack_images(dict(zip(("real", "sampled"), images, strict=True)))
        }

    def export(self, network: nn.Module, folder: Path) -> None:
        save_network(network, folder, LM_SPEC.name)

    def _make_batches(self, step: int) -> list[_Batch]:
        """Sample the batches of a step; the same for the same step."""
        rng = np.random.default_rng((self.recipe.loop.seed, step))
        return [self._make_batch(rng) for _ in range(self.recipe.grad_accum_steps)]

    def _make_batches_in_stream(self, step: int) -> list[_Batch]:
        """Do so while the accelerator is busy with another step."""
        with torch.cuda.stream(self._stream):
            batches = self._make_batches(step)
        self._stream.synchronize()
        return batches

    def _make_batch(self, rng: np.random.Generator) -> _Batch:
        windows = self.train.sample(self.recipe.batch_size, rng)
        codes = windows.codes
        keep = torch.stack([self._keep(codes.shape[1:], rng) for _ in codes])
        tokens, order = _read(codes, keep, self.config.order)
        weights = flatten(self._weights(keep)).gather(1, order)
        beat_grid = None
        if self.config.beat_conditioning:
            sampled = rng.random(len(codes)) < self.recipe.beat_prob
            captioned = np.array([bool(caption) for caption in windows.captions])
            beat_grid = windows.beat_grid.only(sampled == captioned)
        return _Batch(
            tokens=tokens.to(self.device),
            order=order.to(self.device),
            weights=weights.to(self.device),
            text=self.captions(windows.captions),
            beat_grid=beat_grid,
            tempo=windows.tempo.to(self.device),
        )

    def _loss(self, batch: _Batch) -> Tensor:
        network = self.network
        assert isinstance(network, MusicLM)
        with self._precision():
            hidden = network.hidden(batch.tokens, batch.text, batch.order, batch.beat_grid)
            loss = mean_row_loss(
                hidden.flatten(0, 1),
                network.head(),
                batch.tokens.flatten(),
                batch.weights.flatten(),
                batch.order.flatten() % self.config.num_bands,
            )
            if self.config.beat_conditioning and self.recipe.tempo_weight:
                loss = loss + self.recipe.tempo_weight * _tempo_loss(network, batch)
            return loss

    def _weights(self, keep: Tensor) -> Tensor:
        """Return what each cell's loss counts, float [batch, bands, frames] like `keep`."""
        weights = torch.where(keep, self.recipe.known_token_loss_weight, 1.0)
        fades = torch.exp(-torch.arange(keep.shape[2]) / CANDIDATE_PREFIX_FRAMES)
        whole = ~keep.flatten(1).any(dim=1)[:, None, None]
        return weights + whole * self.recipe.prefix_loss_weight * fades

    def _keep(self, shape: torch.Size, rng: np.random.Generator) -> Tensor:
        if rng.random() < self.recipe.infill_prob:
            return sample_known_cells(shape[0], shape[1], rng)
        return torch.zeros(shape, dtype=torch.bool)

    def _validation_losses(
        self,
        network: nn.Module,
        captions: Sequence[str],
        keep: Tensor,
        beat_grid: BeatGrid | None = None,
    ) -> Tensor:
        """Return float [windows, bands, frames] nats of every code, `keep` being known before."""
        assert isinstance(network, MusicLM)
        size, found = self.recipe.batch_size, []
        for start in range(0, len(captions), size):
            text = self.captions(captions[start : start + size])
            codes = self.valid.codes[start : start + size]
            beats = None if beat_grid is None else beat_grid.rows(range(start, start + len(codes)))
            tokens, order = _read(codes, keep.expand(codes.shape), self.config.order)
            tokens, order = tokens.to(self.device), order.to(self.device)
            with self._precision():
                hidden = network.hidden(tokens, text, order, beats)
                bands = order.flatten() % self.config.num_bands
                losses = row_losses(hidden.flatten(0, 1), network.head(), tokens.flatten(), bands)
            raster = torch.empty(tokens.shape)
            raster.scatter_(1, order.cpu(), losses.view(tokens.shape).cpu())
            found.append(unflatten(raster, self.config.num_bands))
        return torch.cat(found)

    def _tempos_found(self, network: nn.Module) -> float:
        """Return how often the tempo that a caption suggests most is within 8 % of the true one."""
        assert isinstance(network, MusicLM)
        known = self.valid.tempo >= 0
        if not known.any():
            return 0.0
        text = self.captions(self.valid.captions)
        best = network.tempo_scores(text).argmax(dim=1).cpu()
        with_beat = (best < TEMPO_BINS) & (self.valid.tempo < TEMPO_BINS)
        right = torch.where(
            with_beat, (best - self.valid.tempo).abs() <= 2, best == self.valid.tempo
        )
        return float(right[known].float().mean())

    def _precision(self) -> AbstractContextManager[object]:
        if self.recipe.precision == "float32" or self.device.type == "cpu":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)


def fit_to_corpus(
    config: MusicLMConfig, corpus: TokenCorpus, encoder: TextEncoder
) -> MusicLMConfig:
    """Return the config with the tokenizer of the corpus and the width of the text encoder."""
    spec = corpus.tokenizer
    return replace(
        config,
        num_bands=spec.num_bands,
        codebook_size=spec.codebook_size,
        sample_rate=spec.sample_rate,
        frame_rate=spec.frame_rate,
        tokenizer_fingerprint=spec.fingerprint,
        text_dim=encoder.dim,
    )


def _tempo_loss(network: MusicLM, batch: _Batch) -> Tensor:
    """Return the mean nats of the tempos that captions suggest, 0 if none is known."""
    known = batch.tempo >= 0
    losses = functional.cross_entropy(
        network.tempo_scores(batch.text).float(),
        batch.tempo,
        ignore_index=-1,
        reduction="sum",
    )
    return losses / known.sum().clamp(min=1)


def _read(codes: Tensor, keep: Tensor, kind: TokenOrder) -> tuple[Tensor, Tensor]:
    """Return tokens and the order they are read in, both [batch, length]."""
    order = torch.from_numpy(window_order(keep.numpy(), kind))
    return flatten(codes).gather(1, order), order


def _optimizers(network: MusicLM, recipe: LMTraining) -> dict[str, Optimizer]:
    """Return Muon for the transformer's matrices and AdamW for the rest."""
    matrices = [p for p in network.transformer.parameters() if p.ndim == 2]
    chosen = {id(p) for p in matrices}
    rest = [p for p in network.parameters() if id(p) not in chosen]
    groups = [
        {"params": [p for p in rest if p.ndim == 2], "weight_decay": recipe.weight_decay},
        {"params": [p for p in rest if p.ndim != 2], "weight_decay": 0.0},
    ]
    return {
        "matrices": Muon(matrices, lr=recipe.matrix_lr, weight_decay=recipe.weight_decay),
        "rest": AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.95)),
    }
