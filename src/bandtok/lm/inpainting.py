"""Writing only some codes of a piece and keeping every other as it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from bandtok.errors import ConfigError, GridError
from bandtok.lm.beat import BeatGrid
from bandtok.lm.config import MusicLMConfig
from bandtok.lm.generate import candidate_seeds, check_codes
from bandtok.lm.networks import LanguageModel, RerankerNetwork
from bandtok.lm.sampling import SamplingConfig
from bandtok.lm.text_embeddings import TextEmbeddings
from bandtok.lm.writer import ClipBatch, ClipWriter, seeded_rng


@dataclass(frozen=True, kw_only=True)
class InpaintRequest:
    """Codes of a piece to regenerate, conditioned on all that is kept within the model's window.

    Attributes:
        codes: int [bands, frames].
        keep: bool [bands, frames], False where a new code is wanted.
        text: one row of states; None, or a row without text, is unconditional.
        sampling, seed: as in `CodeRequest`.
        beat: one row, from frame 0 on; None for no beat.
        num_candidates: candidates to select from, see `candidate_seeds`.
    """

    codes: np.ndarray
    keep: np.ndarray
    text: TextEmbeddings | None = None
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    seed: int = 0
    beat: BeatGrid | None = None
    num_candidates: int = 1

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
    writer = ClipWriter(model=model, sampling=request.sampling)
    columns = writer.complete(batch, request.keep)
    if count == 1:
        yield from (column[0] for column in columns)
        return
    written = np.stack(list(columns), axis=2)
    yield from written[0].T


def inpaint_codes(
    model: LanguageModel, request: InpaintRequest, reranker: RerankerNetwork | None = None
) -> np.ndarray:
    """Return all that `stream_inpainted` yields: int64 [bands, frames]."""
    return np.stack(list(stream_inpainted(model, request, reranker)), axis=1)
