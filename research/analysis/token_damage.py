"""How far a wrong token reaches into later tokens: the first k tokens of a frame are replaced.

    MusicLM or CodecNetwork, codes [rows, frames] of several pieces -> share of later tokens changed

Three ways to see it, at the same places and with the same wrong tokens for each k:

- foretold: the true later tokens are scored once after the true and once after the wrong ones; the
  extra nats a token are what the error costs the model that goes on from it;
- rewritten: the model writes what follows, once after the true and once after the wrong tokens,
  with the same random numbers at the same cell; tokens that come out different were changed by the
  error. What other random numbers change of the same tokens after the true ones is the most that
  could have changed;
- re-encoded: the codes are decoded to a mel and encoded again, with and without the error.

Later tokens are those above row k - 1 of the same frame, and all tokens of the frames after it.
Models are read in raster order. Trains nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bandtok.backends.networks import CodecNetwork
from bandtok.backends.torch_lm import TorchLanguageModel
from bandtok.errors import DataError
from bandtok.evaluation.perplexity import window_nats
from bandtok.lm.decoding import WindowDecoder
from bandtok.lm.model import MusicLM
from bandtok.lm.token_order import flatten, unflatten
from research.analysis.token_corruption import WrongCodes


@dataclass(frozen=True, kw_only=True)
class WrongPlace:
    """A short piece whose frame `frame` is made wrong.

    Attributes:
        piece: where it comes from.
        codes: int64 [rows, frames]; at least one frame before and the later frames after.
        frame: the one made wrong.
        column: int64 [rows], what is put there; differs from the truth in every row.
    """

    piece: int
    codes: np.ndarray
    frame: int
    column: np.ndarray

    def damaged(self, count: int) -> np.ndarray:
        """Return the codes with the first `count` tokens of the frame replaced."""
        codes = self.codes.copy()
        codes[:count, self.frame] = self.column[:count]
        return codes


@dataclass(frozen=True, kw_only=True)
class LaterDamage:
    """What an error does to later tokens, by place; float64 [places] each.

    Attributes:
        count: tokens of the frame that were replaced.
        same_frame: mean over the later rows of the frame; NaN if all rows were replaced.
        later_frames: mean over the frames after it.
    """

    count: int
    same_frame: np.ndarray
    later_frames: np.ndarray


def wrong_places(
    grids: Sequence[np.ndarray],
    codebook_size: int,
    *,
    num_places: int,
    frames: int,
    later_frames: int,
    seed: int = 0,
) -> list[WrongPlace]:
    """Draw places, each in a window of its own length in frames.

    Args:
        grids: int [rows, frames] of each piece.
        codebook_size: codes there are.
        num_places: how many.
        frames: length of a window; the wrong frame is its last but `later_frames`.
        later_frames: frames after the wrong one.
        seed: of places and codes.

    Raises:
        GridError: if there is but one code. DataError: if no piece is as long as a window, or a
            window has no frame before the wrong one.
    """
    wrong = WrongCodes(grids, codebook_size)
    room = np.array([max(grid.shape[1] - frames + 1, 0) for grid in grids])
    frame = frames - 1 - later_frames
    if not room.sum() or frame < 1:
        raise DataError(
            f"got {len(grids)} pieces for windows of {frames} frames with {later_frames} after the "
            "wrong one; expected a piece of that length and a frame before"
        )
    rng = np.random.default_rng(seed)
    places = []
    for _ in range(num_places):
        piece = int(rng.choice(len(grids), p=room / room.sum()))
        start = int(rng.integers(room[piece]))
        codes = grids[piece][:, start : start + frames].astype(np.int64)
        column = wrong.column(codes[:, frame], rng)
        places.append(WrongPlace(piece=piece, codes=codes, frame=frame, column=column))
    return places


def prediction_damage(
    network: MusicLM, places: Sequence[WrongPlace], counts: Sequence[int]
) -> list[LaterDamage]:
    """Return the extra nats of true later tokens after wrong ones."""
    found: dict[int, list[np.ndarray]] = {count: [] for count in counts}
    for place in places:
        clean = window_nats(network, place.codes)
        for count in counts:
            found[count].append(window_nats(network, place.damaged(count)) - clean)
    return [_damage(count, found[count], places[0].frame) for count in counts]


def rewritten_damage(
    network: MusicLM, places: Sequence[WrongPlace], counts: Sequence[int], seed: int = 0
) -> tuple[list[LaterDamage], list[LaterDamage]]:
    """Return the share of tokens that come out different when the model writes on, for each count.

    First after wrong tokens, with the same random numbers; then after the true ones, with others:
    what chance changes of the same tokens.
    """
    model, codes = TorchLanguageModel(network), np.stack([place.codes for place in places])
    frame, rows = places[0].frame, codes.shape[1]
    changed, chance = [], []
    for count in counts:
        wrong = np.stack([place.damaged(count) for place in places])
        clips = np.concatenate([codes, wrong, codes])
        made = _written(model, clips, frame * rows + count, [seed, seed, seed + 1])
        true, false, other = np.split(made, 3)
        changed.append(_damage(count, list((false != true).astype(float)), frame))
        chance.append(_damage(count, list((other != true).astype(float)), frame))
    return changed, chance


@torch.inference_mode()
def reencoded_damage(
    network: CodecNetwork, places: Sequence[WrongPlace], counts: Sequence[int]
) -> list[LaterDamage]:
    """Return the share of tokens that differ after decoding to a mel and encoding again."""
    found: dict[int, list[np.ndarray]] = {count: [] for count in counts}
    for place in places:
        variants = [place.codes, *(place.damaged(count) for count in counts)]
        clean, *wrong = (network.encode_mel(network.decode_codes(codes)) for codes in variants)
        for count, codes in zip(counts, wrong, strict=True):
            found[count].append((codes != clean).astype(float))
    return [_damage(count, found[count], places[0].frame) for count in counts]


def _damage(count: int, maps: Sequence[np.ndarray], frame: int) -> LaterDamage:
    """Sum up maps [rows, frames], one a place."""
    whole = np.stack(maps)
    rows = whole.shape[1]
    same = whole[:, count:, frame].mean(axis=1) if count < rows else np.full(len(whole), np.nan)
    later = whole[:, :, frame + 1 :]
    return LaterDamage(
        count=count,
        same_frame=same,
        later_frames=later.mean(axis=(1, 2)) if later.size else np.full(len(whole), np.nan),
    )


def _noise(clips: int, codebook_size: int, seed: int, cell: int) -> Tensor:
    """Return Gumbel noise [clips, codebook_size]; it depends on seed, clip and cell alone."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + cell)
    uniform = torch.rand(clips, codebook_size, generator=generator).clamp(1e-7, 1 - 1e-7)
    return -(-uniform.log()).log()


def _written(
    model: TorchLanguageModel, codes: np.ndarray, known: int, seeds: Sequence[int]
) -> np.ndarray:
    """Write all but the first `known` tokens anew; int64 [clips, rows, frames].

    The clips are as many groups as there are seeds, and the n-th clips of groups with one seed
    get the same noise.
    """
    tokens, rows = flatten(codes).copy(), codes.shape[1]
    length, size = tokens.shape[1], model.config.codebook_size
    each = len(tokens) // len(seeds)
    decoder = WindowDecoder(model, len(tokens))
    logits = decoder.begin(np.arange(length), tokens[:, :known])
    for place in range(known, length):
        noise = np.concatenate([_noise(each, size, seed, place) for seed in seeds])
        sampled = (logits + noise).argmax(axis=1)
        tokens[:, place] = sampled
        if place + 1 < length:
            logits = decoder.step(sampled)
    return unflatten(tokens, rows)
