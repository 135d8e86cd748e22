"""Writing codes with a music language model, token by token, for any length.

Text states and known codes -> codes [bands, frames]. A window moves over pieces longer than the
model was trained on, so memory and time per token stay bounded; what is known on either side of a
gap, and in other bands, is read first. Knows nothing of audio.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bandtok.errors import ConfigError, GridError
from bandtok.lm.beat import BeatGrid, check_tempo, draw_tempo
from bandtok.lm.config import ReadingOrder
from bandtok.lm.decoding import StepWeights, WindowDecoder
from bandtok.lm.model import MusicLM
from bandtok.lm.reranker import Reranker
from bandtok.lm.sampling import SamplingConfig, sample_code
from bandtok.lm.text_embeddings import TextEmbeddings
from bandtok.lm.token_order import flatten, positions, unflatten, window_order

CANDIDATE_PREFIX_FRAMES = 32
"""Frames of an opening: 3 s of the bundled model's music."""
_SEED_STEP, _BATCH = 1_000_003, 8

FrameCallback = Callable[[int, int, Tensor], None]
"""Called with (frames done, frames in all, int64 [clips, bands] column) after each frame."""


@dataclass(frozen=True, kw_only=True)
class WindowPlan:
    """Frames that are written in one window.

    Attributes:
        start: first frame that the model sees.
        first, last: it writes what is unknown in frames `first` to `last` - 1.
    """

    start: int
    first: int
    last: int


def generate_codes(
    model: MusicLM | StepWeights,
    text: TextEmbeddings | None,
    num_frames: int,
    *,
    prompt_codes: Tensor | None = None,
    sampling: SamplingConfig | None = None,
    seed: int = 0,
    num_candidates: int = 1,
    reranker: Reranker | None = None,
    bpm: float | None = None,
    on_frame: FrameCallback | None = None,
) -> Tensor:
    """Write new frames, after a prompt of codes if there is one.

    Args:
        model: the model, used in eval mode and left as it was; or its weights, laid out before.
        text: one row of states; None, or a row without text, is unconditional.
        num_frames: frames to write, not counting the prompt.
        prompt_codes: int64 [bands, frames] to continue from.
        sampling: how codes are drawn; the default draws from the model's own distribution.
        seed: same seed, same machine, same version: same codes.
        num_candidates, reranker: see `generate_batch`.
        bpm: see `generate_batch`.
        on_frame: called after every frame, those of the prompt included.

    Returns:
        int64 [bands, prompt frames + num_frames] on the CPU.

    Raises:
        GridError: if the prompt does not fit the model, or `num_frames` is negative.
        ConfigError: if `num_candidates` is below 1, or the model cannot play at that tempo.
    """
    return generate_batch(
        model,
        text,
        num_frames,
        prompt_codes=prompt_codes,
        sampling=sampling,
        seeds=[seed],
        num_candidates=num_candidates,
        reranker=reranker,
        bpm=bpm,
        on_frame=on_frame,
    )[0]


def generate_batch(
    model: MusicLM | StepWeights,
    text: TextEmbeddings | None,
    num_frames: int,
    *,
    seeds: Sequence[int],
    prompt_codes: Tensor | None = None,
    sampling: SamplingConfig | None = None,
    num_candidates: int = 1,
    reranker: Reranker | None = None,
    bpm: float | None = None,
    on_frame: FrameCallback | None = None,
) -> Tensor:
    """Write several clips side by side, which costs little more than one.

    With candidates, as many openings of `CANDIDATE_PREFIX_FRAMES` are written for each clip that
    has text,
    and the one that goes best with the text is gone on with: as the listener hears it, or without
    one, the opening whose codes the text makes likelier by most. A clip is then what one of its
    `candidate_seeds` alone would have given.

    Args:
        model, num_frames, prompt_codes, sampling, on_frame: as in `generate_codes`.
        text: a row of states for each clip; a row without text is unconditional.
        seeds: one for each clip.
        num_candidates: openings to choose among; 1 takes what comes.
        reranker: chooses; it must know these codes and this text encoder.
        bpm: beats a minute of a clock that runs from the first new frame on; 0 for none. None draws
            a tempo for each clip as its text suggests, if the model has learned to and there is
            nothing to continue from, whose own beat would be another.

    Returns:
        int64 [clips, bands, prompt frames + num_frames] on the CPU.

    Raises:
        GridError: as in `generate_codes`. ConfigError: if texts and seeds differ in number, or
        `num_candidates` is below 1, or the model cannot play at that tempo.
    """
    if num_frames < 0:
        raise GridError(f"got {num_frames} frames to generate; expected 0 or more")
    weights = _weights(model)
    bands = weights.model.config.num_bands
    start = torch.zeros(bands, 0, dtype=torch.int64) if prompt_codes is None else prompt_codes
    _check_codes(weights.model, start)
    if num_candidates < 1:
        raise ConfigError(f"got num_candidates {num_candidates}; expected 1 or more")
    check_bpm(weights.model, bpm)
    sampling = sampling or SamplingConfig()
    start = start.cpu().long()
    writer = _Generator(weights=weights, sampling=sampling)
    if num_candidates > 1 and num_frames and text is not None and not text.is_empty:
        opening = min(num_frames, CANDIDATE_PREFIX_FRAMES)
        clips = [clip for clip in range(len(seeds)) for _ in range(num_candidates)]
        own = [seed for clip in seeds for seed in candidate_seeds(clip, num_candidates)]
        rerank = writer.begin(text.rows(clips), own, start, bpm)
        players = writer.select_candidates(rerank, opening, num_candidates, reranker)
        num_frames -= opening
    else:
        players = writer.begin(text, seeds, start, bpm)
    return writer.extend(players, num_frames, on_frame).codes


def check_bpm(model: MusicLM, bpm: float | None) -> None:
    """Say whether a model can play at a tempo; None and 0 leave it to the model.

    Raises:
        ConfigError: if it cannot.
    """
    if bpm is None:
        return
    check_tempo(bpm)
    if bpm == 0:
        return
    if not model.config.beat_clock:
        raise ConfigError(
            f"got {bpm} beats a minute; this model has learned no beat clock, leave the tempo to "
            "the prompt"
        )


def candidate_seeds(seed: int, num_candidates: int) -> list[int]:
    """Return the seeds of a clip's candidates, its own first."""
    return [seed + _SEED_STEP * number for number in range(num_candidates)]


def inpaint_codes(
    model: MusicLM | StepWeights,
    text: TextEmbeddings | None,
    codes: Tensor,
    keep: Tensor,
    *,
    sampling: SamplingConfig | None = None,
    seed: int = 0,
    on_frame: FrameCallback | None = None,
) -> Tensor:
    """Write only some codes of a grid anew and keep every other as it is.

    The model hears all that is kept within its window: before, after, and in other bands.

    Args:
        model, text, sampling, seed, on_frame: as in `generate_codes`.
        codes: int64 [bands, frames].
        keep: bool [bands, frames], False where a new code is wanted.

    Raises:
        GridError: if the codes do not fit the model or `keep` has another shape.
    """
    weights = _weights(model)
    _check_codes(weights.model, codes)
    if keep.shape != codes.shape:
        raise GridError(f"got keep {tuple(keep.shape)}; expected {tuple(codes.shape)} like codes")
    players = _BatchState(
        text=text, codes=codes.cpu().long()[None], generators=[_generator(seed)], clock=None
    )
    writer = _Generator(weights=weights, sampling=sampling or SamplingConfig())
    return writer.complete(players, keep.cpu(), on_frame).codes[0]


def plan_windows(unknown: Tensor, window: int) -> Iterator[WindowPlan]:
    """Decide which frames are written in which window, from left to right.

    At an open end, windows begin at multiples of half their length and write their second half (the
    first one all of it), wherever the writing began: going on is the same as never having stopped.
    What has something known after it, or in its own frames, stands in the middle of its window;
    a longer stretch is written half a window at a time, a quarter being seen on either side.

    Args:
        unknown: bool [bands, frames], True where a code is to be written.
        window: frames the model can see.
    """
    frames = unknown.shape[1]
    touched = unknown.any(dim=0).tolist()
    known_ends = (~unknown).any(dim=0).nonzero().flatten().tolist()
    open_end = known_ends[-1] + 1 if known_ends else 0
    frame, half = 0, window // 2
    while True:
        while frame < frames and not touched[frame]:
            frame += 1
        if frame == frames:
            return
        if frame >= open_end:
            start = max(frame // half - 1, 0) * half
            last = min(start + 2 * half, frames)
        else:
            last = frame + 1
            while last < min(open_end, frame + half) and touched[last]:
                last += 1
            before = (window - (last - frame)) // 2
            start = max(min(frame - before, frames - window), 0)
        yield WindowPlan(start=start, first=frame, last=last)
        frame = last


@dataclass(frozen=True, kw_only=True)
class _BatchState:
    """Clips that are written side by side.

    Attributes:
        text: a row for each clip, or None.
        codes: int64 [clips, bands, frames], what each has so far.
        generators: what each draws with.
        clock: a row for each clip, or None.
    """

    text: TextEmbeddings | None
    codes: Tensor
    generators: Sequence[torch.Generator]
    clock: BeatGrid | None

    def rows(self, indices: Sequence[int]) -> _BatchState:
        """Return these clips, in this order."""
        return _BatchState(
            text=None if self.text is None else self.text.rows(indices),
            codes=self.codes[list(indices)],
            generators=[self.generators[index] for index in indices],
            clock=None if self.clock is None else self.clock.rows(indices),
        )


@dataclass(frozen=True, kw_only=True)
class _Written:
    """Finished clips.

    Attributes:
        codes: int64 [clips, bands, frames].
        text_log_likelihood_ratio: float [clips], by how many nats the text made all that was
        written likelier.
    """

    codes: Tensor
    text_log_likelihood_ratio: Tensor


@dataclass(frozen=True, kw_only=True)
class _Generator:
    """Writes clips: a model, and how codes are drawn."""

    weights: StepWeights
    sampling: SamplingConfig

    def begin(
        self,
        text: TextEmbeddings | None,
        seeds: Sequence[int],
        start: Tensor,
        bpm: float | None,
    ) -> _BatchState:
        """Return clips that all begin with codes [bands, frames], each drawing with its seed."""
        generators = [_generator(seed) for seed in seeds]
        model, clock = self.weights.model, None
        if model.config.beat_clock:
            if bpm is None:
                suggested = None if start.shape[1] else text
                tempos = _suggested_tempos(model, suggested, generators)
            else:
                tempos = [bpm] * len(seeds)
            clock = BeatGrid.of_tempos(torch.tensor(tempos), model.config.frame_rate)
            clock = clock.at(-start.shape[1])
        return _BatchState(
            text=text,
            codes=start.expand(len(seeds), -1, -1),
            generators=generators,
            clock=clock,
        )

    def select_candidates(
        self, rerank: _BatchState, num_frames: int, num_candidates: int, reranker: Reranker | None
    ) -> _BatchState:
        """Write openings, `num_candidates` for each clip, and return the best of each."""
        count = len(rerank.generators)
        codes, liking = [], []
        for first in range(0, count, _BATCH):
            part = rerank.rows(range(first, min(first + _BATCH, count)))
            written = self.extend(part, num_frames, None)
            codes.append(written.codes)
            assert part.text is not None
            liking.append(
                written.text_log_likelihood_ratio
                if reranker is None
                else _liked(reranker, written.codes[:, :, -num_frames:], part.text)
            )
        best = torch.cat(liking).view(-1, num_candidates).argmax(dim=1)
        chosen = (torch.arange(len(best)) * num_candidates + best).tolist()
        return replace(rerank, codes=torch.cat(codes)).rows(chosen)

    def extend(
        self, players: _BatchState, num_frames: int, on_frame: FrameCallback | None
    ) -> _Written:
        """Write frames after what each clip has."""
        known = players.codes
        unknown = known.new_zeros(*known.shape[:2], num_frames)
        codes = torch.cat((known, unknown), dim=2)
        keep = (torch.arange(codes.shape[2]) < known.shape[2]).expand(codes.shape[1], -1)
        return self.complete(replace(players, codes=codes), keep, on_frame)

    def complete(
        self, players: _BatchState, keep: Tensor, on_frame: FrameCallback | None
    ) -> _Written:
        """Write the codes that are not to be kept, bool [bands, frames]."""
        codes = players.codes
        clips, num_bands, num_frames = codes.shape
        if not clips:
            raise ConfigError("got no seed; expected one for each clip")
        model, sampling = self.weights.model, self.sampling
        window = model.config.window_frames
        tokens = torch.stack([flatten(clip) for clip in codes])
        gain = torch.zeros(clips)
        unknown = ~keep
        training = model.training
        model.eval()
        report = _Report(tokens, num_bands, on_frame)
        try:
            decoder = WindowDecoder(
                self.weights,
                players.text,
                clips,
                sampling.guidance_scale,
                players.clock,
                sampling.beat_guidance_scale,
            )
            for plan in plan_windows(unknown, window):
                reading = _read_window(unknown, plan, window, model.config.order)
                order, begin = reading.order, reading.begin
                cells = (order + plan.start * num_bands).tolist()
                report.before(plan.first)
                logits = decoder.begin(order, tokens[:, cells[:begin]], plan.start)
                for place in range(begin, len(order)):
                    cell = cells[place]
                    report.before(plan.start + reading.frames_done[place])
                    if reading.wanted[place]:
                        tokens[:, cell] = sample_codes(logits, sampling, players.generators)
                        gain += decoder.text_log_likelihood_ratio(tokens[:, cell])
                    if place + 1 < len(order):
                        logits = decoder.step(tokens[:, cell])
                unknown[:, plan.first : plan.last] = False
            report.before(num_frames)
        finally:
            model.train(training)
        grids = torch.stack([unflatten(clip, num_bands) for clip in tokens])
        return _Written(codes=grids, text_log_likelihood_ratio=gain)


@torch.inference_mode()
def _suggested_tempos(
    model: MusicLM, text: TextEmbeddings | None, generators: Sequence[torch.Generator]
) -> list[float]:
    """Draw beats a minute for each clip; 0, no beat, for one without text."""
    if text is None:
        return [0.0] * len(generators)
    scores = model.tempo_scores(text.to(model.code_embedding.weight.device))
    return [
        draw_tempo(row, generator) if spoken else 0.0
        for row, spoken, generator in zip(
            scores, text.mask.any(dim=1).tolist(), generators, strict=True
        )
    ]


@torch.inference_mode()
def _liked(reranker: Reranker, codes: Tensor, text: TextEmbeddings) -> Tensor:
    """Return how well each clip's codes go with its text, float [clips]."""
    device = reranker.code_vectors.weight.device
    liking: Tensor = reranker(codes.to(device), text.to(device))
    return liking.cpu()


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """How one window is read.

    Attributes:
        order: int64 [length], raster indices in the window, as far as it has to be read.
        begin: how many cells at the beginning are known.
        wanted: of each cell, whether it is to be written.
        frames_done: frames of the window of which nothing will be written any more, before each.
    """

    order: Tensor
    begin: int
    wanted: list[bool]
    frames_done: list[int]


def _read_window(unknown: Tensor, plan: WindowPlan, window: int, kind: ReadingOrder) -> _Reading:
    bands = unknown.shape[0]
    view = unknown[:, plan.start : plan.start + window]
    if view[:, plan.last - plan.start :].all():  # nothing is known beyond what is written now
        view = view[:, : plan.last - plan.start]
    order = window_order(~view, kind)
    here = torch.zeros_like(view)
    here[:, plan.first - plan.start : plan.last - plan.start] = True
    wanted = flatten(view & here)[order]
    end = int(wanted.nonzero()[-1]) + 1
    order, wanted = order[:end], wanted[:end]
    open_frames = torch.where(wanted, positions(order, bands)[:, 0], view.shape[1])
    left = open_frames.flip(0).cummin(0).values.flip(0)
    return _Reading(
        order=order,
        begin=int((~flatten(view)[order]).long().cumprod(0).sum()),
        wanted=wanted.tolist(),
        frames_done=left.tolist(),
    )


def sample_codes(
    logits: Tensor, sampling: SamplingConfig, generators: Sequence[torch.Generator]
) -> Tensor:
    """Draw a code for each clip, int64 [clips], each with its own generator."""
    sampled = [
        sample_code(row, sampling, generator)
        for row, generator in zip(logits, generators, strict=True)
    ]
    return torch.tensor(sampled)


class _Report:
    """Tells of frames once no more of them will change, in order."""

    def __init__(self, tokens: Tensor, num_bands: int, on_frame: FrameCallback | None) -> None:
        self._tokens, self._bands, self._on_frame = tokens, num_bands, on_frame
        self._done, self._total = 0, tokens.shape[1] // num_bands

    def before(self, frame: int) -> None:
        """All frames before this one are done."""
        while self._on_frame and self._done < frame:
            start = self._done * self._bands
            self._done += 1
            column = self._tokens[:, start : start + self._bands].clone()
            self._on_frame(self._done, self._total, column)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _weights(model: MusicLM | StepWeights) -> StepWeights:
    return model if isinstance(model, StepWeights) else StepWeights(model)


def _check_codes(model: MusicLM, codes: Tensor) -> None:
    bands, size = model.config.num_bands, model.config.codebook_size
    if codes.ndim != 2 or codes.shape[0] != bands or codes.is_floating_point():
        raise GridError(
            f"got codes {tuple(codes.shape)} of {codes.dtype}; expected integers [{bands}, frames]"
        )
    if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < size:
        raise GridError(
            f"got codes from {int(codes.min())} to {int(codes.max())}; expected 0 to {size - 1}"
        )
