"""Writing clips with a music language model: requests, candidates, tempos.

Text states and known codes -> codes [bands, frames], column by column as they become final. Knows
nothing of audio; :mod:`bandtok.lm.inpainting` writes parts of a piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import ceil

import numpy as np

from bandtok.errors import ConfigError, GridError
from bandtok.lm.beat import BeatGrid, check_tempo, sample_tempo
from bandtok.lm.config import MusicLMConfig
from bandtok.lm.harmony import HarmonyTarget
from bandtok.lm.levels import CodeLevels, LevelTarget
from bandtok.lm.networks import LanguageModel, RerankerNetwork
from bandtok.lm.sampling import SamplingConfig
from bandtok.lm.text_embeddings import TextEmbeddings
from bandtok.lm.writer import ClipBatch, ClipWriter, seeded_rng

CANDIDATE_PREFIX_FRAMES = 32
"""Frames of a candidate: 3 s of the bundled model's music."""
OPENING_SECONDS = 10.0
"""New music that sets the level of what follows."""
_SEED_STEP, _BATCH = 1_000_003, 8


@dataclass(frozen=True, kw_only=True)
class CodeRequest:
    """Clips to generate side by side, which takes little longer than one.

    Attributes:
        num_frames: frames to write, not counting the prompt.
        text: a row of states per clip; None, or a row without text, is unconditional.
        seeds: one per clip; same seed, machine, version and back end: same codes.
        prompt_codes: int [bands, frames] that all clips begin with.
        sampling: how codes are sampled; the default is the model's own distribution.
        num_candidates: candidates of `CANDIDATE_PREFIX_FRAMES` to select from for each clip that
            has text. A clip is then what one of its `candidate_seeds` alone would have given.
        bpm: beats per minute of a beat grid that runs from the first new frame on; 0 for none. None
            samples a tempo for each clip to suit its text, if the model has learned to and there is
            nothing to continue from, whose own beat would be another.
        code_levels: as in `LevelTarget`; what comes after the first 10 s of new music is held at
            their level. None leaves levels to the model.
        level_strength: as in `LevelTarget`.
        harmony: chords and key, of the prompt's frames and the new ones; None for none.
    """

    num_frames: int
    text: TextEmbeddings | None = None
    seeds: Sequence[int] = (0,)
    prompt_codes: np.ndarray | None = None
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    num_candidates: int = 1
    bpm: float | None = None
    code_levels: CodeLevels | None = None
    level_strength: float = 1.0
    harmony: HarmonyTarget | None = None

    def check(self, config: MusicLMConfig) -> None:
        """Check all but the text, whose rows the network counts.

        Raises:
            GridError: if the prompt does not fit the model, or `num_frames` is negative.
            ConfigError: if there is no seed, `num_candidates` is below 1, or the model cannot
                follow that tempo.
        """
        if self.num_frames < 0:
            raise GridError(f"got {self.num_frames} frames to generate; expected 0 or more")
        if self.prompt_codes is not None:
            check_codes(config, self.prompt_codes)
        if not len(self.seeds):
            raise ConfigError("got no seed; expected one per clip")
        if self.num_candidates < 1:
            raise ConfigError(f"got num_candidates {self.num_candidates}; expected 1 or more")
        check_bpm(config, self.bpm)


def stream_codes(
    model: LanguageModel,
    request: CodeRequest,
    reranker: RerankerNetwork | None = None,
    on_candidates: Callable[[int], None] | None = None,
) -> Iterator[np.ndarray]:
    """Generate clips and yield each column of codes, int64 [clips, bands], once it is final.

    The columns of the prompt come first. With candidates, the columns of the selected ones come
    together, once all candidates are written.

    Args:
        model: the network.
        request: what to generate.
        reranker: selects among candidates, and must know these codes and this text encoder. None
            selects the one whose codes the text makes likelier by most.
        on_candidates: called while candidates are written, with the frames that they have, of those
            that the selected ones will have.

    Raises:
        GridError, ConfigError: see `CodeRequest.check`; also if texts and seeds differ in number.
    """
    request.check(model.config)
    writer = ClipWriter(model=model, sampling=request.sampling, harmony=request.harmony)
    clips, frames = len(request.seeds), request.num_frames
    text = request.text
    if request.num_candidates > 1 and frames and text is not None and not text.is_empty:
        prefix = min(frames, CANDIDATE_PREFIX_FRAMES)
        repeated = [clip for clip in range(clips) for _ in range(request.num_candidates)]
        seeds = [s for seed in request.seeds for s in candidate_seeds(seed, request.num_candidates)]
        candidates = _begun(model, replace(request, text=text.rows(repeated), seeds=seeds))
        batch = _selected(
            writer, candidates, prefix, request.num_candidates, reranker, on_candidates
        )
        frames -= prefix
    else:
        batch = _begun(model, request)
    yield from replace(writer, level=_level_target(model.config, request)).extend(batch, frames)


def generate_codes(
    model: LanguageModel, request: CodeRequest, reranker: RerankerNetwork | None = None
) -> np.ndarray:
    """Return all that `stream_codes` yields: int64 [clips, bands, prompt frames + num_frames]."""
    empty = np.zeros((len(request.seeds), model.config.num_bands), np.int64)
    columns = list(stream_codes(model, request, reranker))
    return np.stack(columns, axis=2) if columns else empty[:, :, None][:, :, :0]


def suggest_beat(model: LanguageModel, text: TextEmbeddings | None, seed: int) -> float | None:
    """Sample beats per minute to suit a text, one row.

    None without a text, or from a model without beat conditioning.
    """
    if text is None or text.is_empty or not model.config.beat_conditioning:
        return None
    scores = model.tempo_scores(text)[0]
    return sample_tempo(scores[:-1], seeded_rng(seed))


def check_bpm(config: MusicLMConfig, bpm: float | None) -> None:
    """Raise ConfigError if a model cannot follow a tempo; None and 0 leave it to the model."""
    if bpm is None:
        return
    check_tempo(bpm)
    if bpm and not config.beat_conditioning:
        raise ConfigError(
            f"got {bpm} beats per minute; this model has learned no beat, leave the tempo to the "
            "prompt"
        )


def check_codes(config: MusicLMConfig, codes: np.ndarray) -> None:
    """Raise GridError unless codes are integers [bands, frames] that the model knows."""
    bands, size = config.num_bands, config.codebook_size
    if codes.ndim != 2 or codes.shape[0] != bands or codes.dtype.kind not in "iu":
        raise GridError(
            f"got codes {codes.shape} of {codes.dtype}; expected integers [{bands}, frames]"
        )
    if codes.size and not 0 <= int(codes.min()) <= int(codes.max()) < size:
        raise GridError(
            f"got codes from {int(codes.min())} to {int(codes.max())}; expected 0 to {size - 1}"
        )


def candidate_seeds(seed: int, num_candidates: int) -> list[int]:
    """Return the seeds of a clip's candidates, its own first."""
    return [seed + _SEED_STEP * number for number in range(num_candidates)]


def opening_frames(config: MusicLMConfig) -> int:
    """Return how many frames of new music set the level of what follows."""
    return ceil(OPENING_SECONDS * config.frame_rate)


def _level_target(config: MusicLMConfig, request: CodeRequest) -> LevelTarget | None:
    known = 0 if request.prompt_codes is None else request.prompt_codes.shape[1]
    first = known + opening_frames(config)
    frames = known + request.num_frames
    if request.code_levels is None or not request.level_strength or first >= frames:
        return None
    opening = np.arange(frames)
    reference = np.broadcast_to((known <= opening) & (opening < first), (config.num_bands, frames))
    return LevelTarget(
        code_levels=request.code_levels,
        reference=reference,
        first_frame=first,
        strength=request.level_strength,
    )


def _begun(model: LanguageModel, request: CodeRequest) -> ClipBatch:
    """Return the clips of a request before anything is written."""
    config, count = model.config, len(request.seeds)
    rngs = [seeded_rng(seed) for seed in request.seeds]
    start = np.zeros((config.num_bands, 0), np.int64)
    if request.prompt_codes is not None:
        start = request.prompt_codes.astype(np.int64)
    beat = None
    if config.beat_conditioning:
        if request.bpm is None:
            tempos = _suggested_tempos(model, None if start.shape[1] else request.text, rngs)
        else:
            tempos = [request.bpm] * count
        beat = BeatGrid.of_tempos(tempos, config.frame_rate).at(-start.shape[1])
    codes = np.broadcast_to(start, (count, *start.shape))
    return ClipBatch(text=request.text, codes=codes, rngs=rngs, beat=beat)


def _selected(
    writer: ClipWriter,
    candidates: ClipBatch,
    num_frames: int,
    num_candidates: int,
    reranker: RerankerNetwork | None,
    on_candidates: Callable[[int], None] | None,
) -> ClipBatch:
    """Write candidates, `num_candidates` per clip, and return the best of each."""
    count, known = len(candidates.rngs), candidates.codes.shape[2]
    codes, scores, decoders = [], [], []
    for first in range(0, count, _BATCH):
        part = candidates.rows(range(first, min(first + _BATCH, count)))
        part = replace(part, decoder=writer.decoder(part))
        decoders.append(part.decoder)
        ratios = np.zeros(len(part.rngs)) if reranker is None else None
        columns: list[np.ndarray] = []
        for column in writer.extend(part, num_frames, ratios):
            columns.append(column)
            if on_candidates:
                written = first * num_frames + len(part.rngs) * max(len(columns) - known, 0)
                on_candidates(written // count)
        codes.append(np.stack(columns, axis=2))
        if reranker is not None:
            assert part.text is not None
            ratios = reranker.scores(codes[-1][:, :, -num_frames:], part.text)
        assert ratios is not None
        scores.append(ratios)
    best = np.concatenate(scores).reshape(-1, num_candidates).argmax(axis=1)
    chosen = (np.arange(len(best)) * num_candidates + best).tolist()
    decoder = decoders[0] if len(decoders) == 1 else None
    return replace(candidates, codes=np.concatenate(codes), decoder=decoder).rows(chosen)


def _suggested_tempos(
    model: LanguageModel, text: TextEmbeddings | None, rngs: Sequence[np.random.Generator]
) -> list[float]:
    """Sample beats per minute for each clip; 0, no beat, for one without text."""
    if text is None:
        return [0.0] * len(rngs)
    given_rows = np.any(text.mask, axis=1)
    rows = zip(model.tempo_scores(text), given_rows, rngs, strict=True)
    return [sample_tempo(scores, rng) if given else 0.0 for scores, given, rng in rows]
