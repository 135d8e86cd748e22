"""Writing codes with a music language model, token by token, for any length.

Text states and known codes -> codes [bands, frames], column by column as they become final. A
window moves over pieces longer than the model was trained on, so memory and time per token stay
bounded; what is known on either side of a gap, and in other bands, is read first. Knows nothing of
audio.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bandtok.errors import ConfigError, GridError
from bandtok.lm.beat import BeatGrid, check_tempo, sample_tempo
from bandtok.lm.config import MusicLMConfig
from bandtok.lm.decoding import WindowDecoder
from bandtok.lm.networks import LanguageModel, RerankerNetwork
from bandtok.lm.sampling import SamplingConfig, sample_codes
from bandtok.lm.text_embeddings import TextEmbeddings
from bandtok.lm.token_order import flatten
from bandtok.lm.windows import plan_windows, read_window

CANDIDATE_PREFIX_FRAMES = 32
"""Frames of a candidate: 3 s of the bundled model's music."""
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
    """

    num_frames: int
    text: TextEmbeddings | None = None
    seeds: Sequence[int] = (0,)
    prompt_codes: np.ndarray | None = None
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    num_candidates: int = 1
    bpm: float | None = None

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
    model: LanguageModel, request: CodeRequest, reranker: RerankerNetwork | None = None
) -> Iterator[np.ndarray]:
    """Generate clips and yield each column of codes, int64 [clips, bands], once it is final.

    The columns of the prompt come first. With candidates, the columns of the selected ones come
    together, once all candidates are written.

    Args:
        model: the network.
        request: what to generate.
        reranker: selects among candidates, and must know these codes and this text encoder. None
            selects the one whose codes the text makes likelier by most.

    Raises:
        GridError, ConfigError: see `CodeRequest.check`; also if texts and seeds differ in number.
    """
    request.check(model.config)
    generator = _Generator(model=model, sampling=request.sampling)
    clips, frames = len(request.seeds), request.num_frames
    text = request.text
    if request.num_candidates > 1 and frames and text is not None and not text.is_empty:
        prefix = min(frames, CANDIDATE_PREFIX_FRAMES)
        repeated = [clip for clip in range(clips) for _ in range(request.num_candidates)]
        seeds = [s for seed in request.seeds for s in candidate_seeds(seed, request.num_candidates)]
        candidates = generator.begin(replace(request, text=text.rows(repeated), seeds=seeds))
        state = generator.select_candidates(candidates, prefix, request.num_candidates, reranker)
        frames -= prefix
    else:
        state = generator.begin(request)
    yield from generator.extend(state, frames)


def generate_codes(
    model: LanguageModel, request: CodeRequest, reranker: RerankerNetwork | None = None
) -> np.ndarray:
    """Return all that `stream_codes` yields: int64 [clips, bands, prompt frames + num_frames]."""
    empty = np.zeros((len(request.seeds), model.config.num_bands), np.int64)
    columns = list(stream_codes(model, request, reranker))
    return np.stack(columns, axis=2) if columns else empty[:, :, None][:, :, :0]


def stream_inpainted(
    model: LanguageModel,
    codes: np.ndarray,
    keep: np.ndarray,
    *,
    text: TextEmbeddings | None = None,
    sampling: SamplingConfig | None = None,
    seed: int = 0,
) -> Iterator[np.ndarray]:
    """Write only some codes of a grid and keep every other as it is.

    The model is conditioned on all that is kept within its window: before, after, and in other
    bands. Yields each column, int64 [bands], once it is final.

    Args:
        model: the network.
        codes: int [bands, frames].
        keep: bool [bands, frames], False where a new code is wanted.
        text: one row of states; None, or a row without text, is unconditional.
        sampling, seed: as in `CodeRequest`.

    Raises:
        GridError: if the codes do not fit the model or `keep` has another shape.
    """
    check_codes(model.config, codes)
    if keep.shape != codes.shape:
        raise GridError(f"got keep {keep.shape}; expected {codes.shape} like codes")
    state = _BatchState(text=text, codes=codes.astype(np.int64)[None], rngs=[_rng(seed)], beat=None)
    generator = _Generator(model=model, sampling=sampling or SamplingConfig())
    for column in generator.complete(state, keep):
        yield column[0]


def check_bpm(config: MusicLMConfig, bpm: float | None) -> None:
    """Raise ConfigError if a model cannot follow a tempo; None and 0 leave it to the model."""
    if bpm is None:
        return
    check_tempo(bpm)
    if bpm and not config.beat_clock:
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


@dataclass(frozen=True, kw_only=True)
class _BatchState:
    """Clips that are written side by side.

    Attributes:
        text: a row per clip, or None.
        codes: int64 [clips, bands, frames], what each has so far.
        rngs: what each is sampled with.
        beat: a row per clip, or None.
        decoder: that has read these codes; None if there is none yet.
    """

    text: TextEmbeddings | None
    codes: np.ndarray
    rngs: Sequence[np.random.Generator]
    beat: BeatGrid | None
    decoder: WindowDecoder | None = None

    def rows(self, indices: Sequence[int]) -> _BatchState:
        """Return these clips, in this order."""
        return _BatchState(
            text=None if self.text is None else self.text.rows(indices),
            codes=self.codes[list(indices)],
            rngs=[self.rngs[index] for index in indices],
            beat=None if self.beat is None else self.beat.rows(indices),
            decoder=None if self.decoder is None else self.decoder.rows(indices),
        )


@dataclass(frozen=True, kw_only=True)
class _Generator:
    """Writes clips: a model, and how codes are sampled."""

    model: LanguageModel
    sampling: SamplingConfig

    def begin(self, request: CodeRequest) -> _BatchState:
        """Return the clips of a request before anything is written."""
        config, count = self.model.config, len(request.seeds)
        rngs = [_rng(seed) for seed in request.seeds]
        start = np.zeros((config.num_bands, 0), np.int64)
        if request.prompt_codes is not None:
            start = request.prompt_codes.astype(np.int64)
        beat = None
        if config.beat_clock:
            if request.bpm is None:
                tempos = self._suggested_tempos(None if start.shape[1] else request.text, rngs)
            else:
                tempos = [request.bpm] * count
            beat = BeatGrid.of_tempos(tempos, config.frame_rate).at(-start.shape[1])
        codes = np.broadcast_to(start, (count, *start.shape))
        return _BatchState(text=request.text, codes=codes, rngs=rngs, beat=beat)

    def select_candidates(
        self,
        candidates: _BatchState,
        num_frames: int,
        num_candidates: int,
        reranker: RerankerNetwork | None,
    ) -> _BatchState:
        """Write candidates, `num_candidates` per clip, and return the best of each."""
        count = len(candidates.rngs)
        codes, scores, decoders = [], [], []
        for first in range(0, count, _BATCH):
            part = candidates.rows(range(first, min(first + _BATCH, count)))
            part = replace(part, decoder=self.decoder(part))
            decoders.append(part.decoder)
            ratios = np.zeros(len(part.rngs)) if reranker is None else None
            columns = list(self.extend(part, num_frames, ratios))
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

    def decoder(self, state: _BatchState) -> WindowDecoder:
        """Return a decoder of clips that has read nothing."""
        return WindowDecoder(self.model, len(state.rngs), state.text, state.beat, self.sampling)

    def extend(
        self, state: _BatchState, num_frames: int, ratios: np.ndarray | None = None
    ) -> Iterator[np.ndarray]:
        """Write frames after what each clip has; see `complete`."""
        clips, bands, known = state.codes.shape
        unknown = np.zeros((clips, bands, num_frames), np.int64)
        codes = np.concatenate((state.codes, unknown), axis=2)
        keep = np.broadcast_to(np.arange(codes.shape[2]) < known, codes.shape[1:])
        return self.complete(replace(state, codes=codes), keep, ratios)

    def complete(
        self, state: _BatchState, keep: np.ndarray, ratios: np.ndarray | None = None
    ) -> Iterator[np.ndarray]:
        """Write the codes that are not to be kept, bool [bands, frames].

        Args:
            state: the clips.
            keep: where a code is known.
            ratios: float [clips], to which is added by how many nats the text made what was written
                likelier.

        Yields:
            int64 [clips, bands] columns, in order, each once no code of it will change.
        """
        num_bands, num_frames = state.codes.shape[1:]
        tokens, unknown = flatten(state.codes).copy(), ~keep
        config, done = self.model.config, 0
        decoder = state.decoder or self.decoder(state)
        for plan in plan_windows(unknown, config.window_frames):
            reading = read_window(unknown, plan, config.window_frames, config.order)
            cells = (reading.order + plan.start * num_bands).tolist()
            yield from _columns(tokens, num_bands, done, plan.first)
            done = max(done, plan.first)
            known = tokens[:, cells[: reading.num_known]]
            logits = decoder.begin(reading.order, known, plan.start)
            for place in range(reading.num_known, len(cells)):
                final = plan.start + reading.frames_done[place]
                yield from _columns(tokens, num_bands, done, final)
                done = max(done, final)
                if reading.wanted[place]:
                    codes = sample_codes(logits, self.sampling, state.rngs)
                    tokens[:, cells[place]] = codes
                    if ratios is not None:
                        ratios += decoder.text_log_likelihood_ratio(codes)
                if place + 1 < len(cells):
                    logits = decoder.step(tokens[:, cells[place]])
            unknown[:, plan.first : plan.last] = False
        yield from _columns(tokens, num_bands, done, num_frames)

    def _suggested_tempos(
        self, text: TextEmbeddings | None, rngs: Sequence[np.random.Generator]
    ) -> list[float]:
        """Sample beats per minute for each clip; 0, no beat, for one without text."""
        if text is None:
            return [0.0] * len(rngs)
        given_rows = np.any(text.mask, axis=1)
        rows = zip(self.model.tempo_scores(text), given_rows, rngs, strict=True)
        return [sample_tempo(scores, rng) if given else 0.0 for scores, given, rng in rows]


def _columns(tokens: np.ndarray, num_bands: int, first: int, last: int) -> Iterator[np.ndarray]:
    """Yield copies of frames `first` to `last` - 1, [clips, bands] each."""
    for frame in range(first, last):
        yield tokens[:, frame * num_bands : (frame + 1) * num_bands].copy()


def _rng(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))
