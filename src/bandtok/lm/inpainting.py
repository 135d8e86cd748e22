"""Writing only some codes of a piece and keeping every other as it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from bandtok.errors import ConfigError, GridError
from bandtok.lm.beat import BeatGrid
from bandtok.lm.config import MusicLMConfig
from bandtok.lm.generate import candidate_seeds, check_codes
from bandtok.lm.harmony import HarmonyTarget
from bandtok.lm.levels import SPAN_FRAMES, CodeLevels, LevelTarget
from bandtok.lm.networks import LanguageModel, RerankerNetwork
from bandtok.lm.sampling import SamplingConfig
from bandtok.lm.text_embeddings import TextEmbeddings
from bandtok.lm.writer import ClipBatch, ClipWriter, seeded_rng

_MISFIT_WEIGHT = 0.5
"""Standard deviations of the candidates' scores per dB that one is too loud or too soft."""


@dataclass(frozen=True, kw_only=True)
class InpaintRequest:
    """Codes of a piece to regenerate, conditioned on all that is kept within the model's window.

    Attributes:
        codes: int [bands, frames].
        keep: bool [bands, frames], False where a new code is wanted.
        text: one row of states; None, or a row without text, is unconditional.
        sampling, seed: as in `CodeRequest`.
        beat: one row, from frame 0 on; None for no beat.
        code_levels, level_strength: as in `LevelTarget`; the level is that of what is kept around
            the new codes. None leaves it to the model.
        num_candidates: candidates to select from, see `candidate_seeds`; the piece is then what
            the seed of the selected one alone would have given.
        harmony: chords and key; None for none.
    """

    codes: np.ndarray
    keep: np.ndarray
    text: TextEmbeddings | None = None
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    seed: int = 0
    beat: BeatGrid | None = None
    num_candidates: int = 1
    code_levels: CodeLevels | None = None
    level_strength: float = 1.0
    harmony: HarmonyTarget | None = None

    def check(self, config: MusicLMConfig) -> None:
        """Check all but the text.

        Raises:
            GridError: if the codes do not fit the model or `keep` has another shape.
            ConfigError: if `num_candidates` is below 1.
        """
        check_codes(config, self.codes)
        if self.keep.shape != self.codes.shape:
            raise GridError(f"got keep {self.keep.shape}; expected {self.codes.shape} like codes")
        if self.num_candidates < 1:
            raise ConfigError(f"got num_candidates {self.num_candidates}; expected 1 or more")


def stream_inpainted(
    model: LanguageModel, request: InpaintRequest, reranker: RerankerNetwork | None = None
) -> Iterator[np.ndarray]:
    """Yield each column of the piece, int64 [bands], once it is final.

    With candidates, all columns come together, once all candidates are written.

    Args:
        model: the network.
        request: what to write.
        reranker: selects among candidates by how well the window around what was written matches
            the text. None selects the one whose codes the text makes likelier by most. Candidates
            that are louder or softer than what surrounds them are less likely to be selected.

    Raises:
        GridError, ConfigError: see `InpaintRequest.check`.
    """
    request.check(model.config)
    count = request.num_candidates
    batch = ClipBatch(
        text=None if request.text is None else request.text.rows([0] * count),
        codes=np.repeat(request.codes.astype(np.int64)[None], count, axis=0),
        rngs=[seeded_rng(seed) for seed in candidate_seeds(request.seed, count)],
        beat=None if request.beat is None else request.beat.rows([0] * count),
    )
    level = None
    if request.code_levels is not None and request.level_strength and not request.keep.all():
        level = LevelTarget(
            code_levels=request.code_levels,
            reference=_surroundings(request.keep),
            strength=request.level_strength,
        )
    writer = ClipWriter(
        model=model, sampling=request.sampling, level=level, harmony=request.harmony
    )
    if count == 1:
        yield from (column[0] for column in writer.complete(batch, request.keep))
        return
    ratios = np.zeros(count)
    written = np.stack(list(writer.complete(batch, request.keep, ratios)), axis=2)
    if reranker is not None and batch.text is not None:
        part = _frames_around(~request.keep, model.config.window_frames)
        ratios = reranker.scores(written[:, :, part], batch.text)
    scores = (ratios - ratios.mean()) / (ratios.std() or 1.0)
    if request.code_levels is not None and level:
        levels = request.code_levels()[written]
        scores -= _MISFIT_WEIGHT * _misfits(levels, ~request.keep, level.reference)
    yield from written[scores.argmax()].T


def _surroundings(keep: np.ndarray) -> np.ndarray:
    """Return the cells that new codes should be as loud as, bool [bands, frames].

    In each band, what is kept within `SPAN_FRAMES` of the new frames; what is replaced in a band of
    which nothing is kept there.
    """
    frames = np.flatnonzero(~keep.all(axis=0))
    every = np.arange(keep.shape[1])
    near = np.abs(every[:, None] - frames).min(axis=1) <= SPAN_FRAMES
    around = keep & near
    return np.where(around.any(axis=1, keepdims=True), around, ~keep)


def _misfits(levels: np.ndarray, written: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return by how many dB what is written is louder or softer than the reference, [clips].

    Args:
        levels: float [clips, bands, frames], ln amplitude.
        written, reference: bool [bands, frames]; bands without a written cell do not count.
    """
    reference = reference & written.any(axis=1, keepdims=True)
    found, wanted = (np.exp(2 * levels[:, cells]).mean(axis=1) for cells in (written, reference))
    decibels: np.ndarray = np.abs(10 * np.log10(found / wanted))
    return decibels


def _frames_around(cells: np.ndarray, least: int) -> slice:
    """Return the frames of cells, bool [bands, frames], and some on either side up to `least`."""
    frames = np.flatnonzero(cells.any(axis=0))
    if not len(frames):
        return slice(0, cells.shape[1])
    first, last = int(frames[0]), int(frames[-1]) + 1
    first = max(min(first, (first + last - least) // 2), 0)
    return slice(first, max(last, first + least))


def inpaint_codes(
    model: LanguageModel, request: InpaintRequest, reranker: RerankerNetwork | None = None
) -> np.ndarray:
    """Return all that `stream_inpainted` yields: int64 [bands, frames]."""
    return np.stack(list(stream_inpainted(model, request, reranker)), axis=1)
