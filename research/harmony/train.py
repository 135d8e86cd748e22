"""Training of the harmony classifier: passages of tokens -> their chord and key."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from bandtok.lm.chords import NO_CHORD
from bandtok.lm.harmony import HarmonyConfig
from bandtok.lm.harmony_network import HarmonyNetwork
from research.harmony.labels import LabeledTokens

_LEAST_FRAMES = 6
_KEY_FRAMES = 100


@dataclass(frozen=True, kw_only=True)
class HarmonyTraining:
    """A run.

    Attributes:
        steps, batch_size: passages per step.
        most_frames: passages are 1 to this many frames long.
        learning_rate: of AdamW, falling to 0 along a cosine.
        dropout: share of inner channels.
        weight_decay: of all weights.
        seed: of everything drawn by chance.
    """

    steps: int = 1500
    batch_size: int = 192
    most_frames: int = 12
    learning_rate: float = 3e-3
    dropout: float = 0.1
    weight_decay: float = 0.01
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class HarmonyAccuracy:
    """Shares that are right: chords and roots of bars, keys of the first 9 s of pieces."""

    chord: float
    root: float
    bars: int
    key: float
    pieces: int


def train_harmony(
    pieces: Sequence[LabeledTokens],
    code_vectors: Tensor,
    config: HarmonyConfig,
    recipe: HarmonyTraining,
    on_line: Callable[[str], None] = print,
) -> HarmonyNetwork:
    """Train a classifier.

    Args:
        pieces: those of the split "train" are learned from.
        code_vectors: float [codebook_size, code_dim] that it begins with.
        config: its shape.
        recipe: the run.
        on_line: called with lines of progress.
    """
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    network = HarmonyNetwork(config)
    with torch.no_grad():
        network.code_vectors.copy_(code_vectors)
        network.outer_weight.zero_()
    network.code_vectors.requires_grad_(False)
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, weight_decay=recipe.weight_decay)
    learned = [piece for piece in pieces if piece.split == "train"]
    began, total = time.monotonic(), 0.0
    for step in range(recipe.steps):
        rate = recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
        optimizer.param_groups[0]["lr"] = rate
        loss = _loss(network, _passages(learned, rng, recipe), recipe.dropout)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += float(loss.detach())
        if (step + 1) % 250 == 0 or step + 1 == recipe.steps:
            seconds = time.monotonic() - began
            line = f"step {step + 1}/{recipe.steps}, {seconds:.0f} s"
            on_line(f"{line}, loss {total / (step % 250 + 1):.3f}")
            total = 0.0
    return network.eval()


@torch.no_grad()
def held_out_accuracy(network: HarmonyNetwork, pieces: Sequence[LabeledTokens]) -> HarmonyAccuracy:
    """Measure a classifier on all pieces that are not of the split "train"."""
    scores = network()
    chords, roots, keys = [], [], []
    for piece in pieces:
        if piece.split == "train":
            continue
        said = _said(scores, torch.from_numpy(piece.codes))
        for bar in np.unique(piece.bars):
            frames = torch.from_numpy(piece.bars == bar)
            wanted = int(piece.chords[bar])
            if wanted == NO_CHORD or int(frames.sum()) < _LEAST_FRAMES:
                continue
            found = int(said[frames, 0].sum(0).argmax())
            chords.append(found == wanted)
            roots.append(found // 2 == wanted // 2)
        keys.append(int(said[:_KEY_FRAMES, 1].sum(0).argmax()) == piece.key)
    return HarmonyAccuracy(
        chord=float(np.mean(chords)),
        root=float(np.mean(roots)),
        bars=len(chords),
        key=float(np.mean(keys)),
        pieces=len(keys),
    )


@dataclass(frozen=True, kw_only=True)
class _Passages:
    codes: Tensor  # int64 [passages, frames, bands]
    chords: Tensor  # int64 [passages], NO_CHORD where it changes or there is none
    keys: Tensor  # int64 [passages]


def _passages(
    pieces: Sequence[LabeledTokens], rng: np.random.Generator, recipe: HarmonyTraining
) -> _Passages:
    frames = int(rng.integers(1, recipe.most_frames + 1))
    codes, chords, keys = [], [], []
    while len(codes) < recipe.batch_size:
        piece = pieces[int(rng.integers(len(pieces)))]
        if len(piece.codes) < frames:
            continue
        first = int(rng.integers(len(piece.codes) - frames + 1))
        labels = piece.chords[piece.bars[first : first + frames]]
        codes.append(piece.codes[first : first + frames])
        chords.append(int(labels[0]) if (labels == labels[0]).all() else NO_CHORD)
        keys.append(piece.key)
    return _Passages(
        codes=torch.from_numpy(np.stack(codes)),
        chords=torch.tensor(chords),
        keys=torch.tensor(keys),
    )


def _loss(network: HarmonyNetwork, passages: _Passages, dropout: float) -> Tensor:
    said = _said(network(dropout), passages.codes).sum(1)
    chords = functional.cross_entropy(said[:, 0], passages.chords, ignore_index=NO_CHORD)
    keys = functional.cross_entropy(said[:, 1], passages.keys)
    return keys if torch.isnan(chords) else chords + keys


def _said(scores: Tensor, codes: Tensor) -> Tensor:
    """Return logits float [..., frames, 2, NUM_LABELS] of codes int64 [..., frames, bands]."""
    bands, size = scores.shape[:2]
    entries = codes + size * torch.arange(bands)
    return (
        functional.embedding(entries, scores.flatten(2).flatten(0, 1))
        .sum(-2)
        .unflatten(-1, scores.shape[2:])
    )
