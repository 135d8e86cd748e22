"""Clips of one call of `MusicModel`: lengths, codes, loops, records, audio."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from bandtok.api.clip import Clip, marked
from bandtok.api.generation_config import GenerationConfig
from bandtok.api.harmony import harmony_target
from bandtok.api.inputs import MusicSource, as_grid
from bandtok.api.lengths import (
    BARS_BPM,
    ClipLength,
    check_seconds,
    length_in_bars,
    length_in_seconds,
)
from bandtok.api.tokenizer import Progress, Tokenizer
from bandtok.errors import ConfigError, GridError, PromptWarning, printable
from bandtok.lm.chords import key_in_prompt
from bandtok.lm.generate import CodeRequest, check_bpm, stream_codes, suggest_beat
from bandtok.lm.loops import close_loop
from bandtok.lm.text_embeddings import TextEmbeddings, TextEncoder
from bandtok.provenance import of_extra
from bandtok.signal.audio import Audio
from bandtok.signal.endings import fade_out, resample_loop
from bandtok.signal.loudness import normalize_loudness
from bandtok.tokens.grid import TokenGrid

if TYPE_CHECKING:
    from bandtok.api.music_model import MusicModel

OnColumn = Callable[[np.ndarray], None]


@dataclass(frozen=True, kw_only=True)
class GenerationRequest:
    """Checked arguments of one call: a text and a seed per clip, the rest for all of them."""

    texts: Sequence[str]
    seeds: Sequence[int]
    duration_seconds: float
    config: GenerationConfig
    continue_from: MusicSource | None

    def __post_init__(self) -> None:
        check_seconds(self.duration_seconds)
        if self.config.loop and self.continue_from is not None:
            raise ConfigError("got a loop and music to continue; expected one of both")


def generate_clips(
    model: MusicModel,
    request: GenerationRequest,
    on_progress: Progress | None = None,
    on_column: OnColumn | None = None,
) -> list[Clip]:
    """Generate the clips of a call.

    Clips of whole bars, or with chords or a key, have a tempo, length or harmony of their own, and
    are generated one by one.
    """
    config = request.config
    if config.loop and on_column:
        raise ConfigError("got a loop to stream; its end is written last, expected a whole clip")
    check_bpm(model.network.config, config.bpm)
    start = _start(model.tokenizer, request.continue_from, config.in_bars)
    seconds, in_bars = request.duration_seconds, config.in_bars or bool(config.chords)
    has_key = config.key is not None or any(
        key_in_prompt(text) is not None for text in request.texts
    )
    if not in_bars and not has_key:
        length = length_in_seconds(seconds, config.bpm, model.tokenizer)
        return _of_length(model, request, length, start, on_progress, on_column)
    clips: list[Clip] = []
    for text, seed in zip(request.texts, request.seeds, strict=True):
        alone, bpm = replace(request, texts=[text], seeds=[seed]), config.bpm
        if in_bars and bpm is None:
            suggested = suggest_beat(model.network, embed_prompts(model.text_encoder, [text]), seed)
            bpm = suggested or BARS_BPM
        if config.in_bars:
            length = length_in_bars(config, seconds, bpm or BARS_BPM, model.tokenizer)
        else:
            length = length_in_seconds(seconds, bpm, model.tokenizer)
        clips += _of_length(model, alone, length, start, on_progress, on_column)
    return clips


def _warn(message: str) -> None:
    warnings.warn(PromptWarning(printable(message)), stacklevel=3)


def embed_prompts(encoder: TextEncoder, texts: Sequence[str]) -> TextEmbeddings | None:
    """Return a row per text; None if all are empty.

    Warns:
        PromptWarning: if one is longer than what is used, or is not understood.
    """
    for text in filter(None, dict.fromkeys(texts)):
        start = repr(" ".join(text.split())[:40])
        if not encoder.fits(text):
            _warn(f"only the beginning of the prompt {start}... is used")
        if not encoder.understands(text):
            _warn(f"the prompt {start} seems not to be English: the music may not follow it")
    return encoder.encode(list(texts)) if any(texts) else None


def _of_length(
    model: MusicModel,
    request: GenerationRequest,
    length: ClipLength,
    start: _Start,
    on_progress: Progress | None,
    on_column: OnColumn | None,
) -> list[Clip]:
    config, tokenizer = request.config, model.tokenizer
    text = embed_prompts(model.text_encoder, request.texts)
    num_samples = start.num_samples + length.num_samples
    num_frames = ceil(num_samples / tokenizer.samples_per_frame)
    if config.loop:
        num_frames = length.num_frames
        num_samples = num_frames * tokenizer.samples_per_frame
    harmony = harmony_target(
        model, config, request.texts[0], length.bpm, num_frames, first_frame=start.num_frames
    )
    wanted = CodeRequest(
        num_frames=num_frames - start.num_frames,
        text=text,
        seeds=request.seeds,
        prompt_codes=None if start.grid is None else start.grid.codes,
        sampling=config.sampling,
        num_candidates=config.num_candidates,
        bpm=length.bpm if model.network.config.beat_conditioning else None,
        code_levels=tokenizer.codec.level_source,
        level_strength=config.level_strength,
        harmony=harmony,
    )
    codes = _codes(model, wanted, num_frames, on_progress, on_column)
    if config.loop:
        (seed,) = request.seeds
        codes = close_loop(
            model.network,
            codes[0],
            length.bpm or 0.0,
            text=text,
            sampling=config.sampling,
            seed=seed,
            harmony=harmony,
        )[None]
    grids = [
        marked(
            replace(tokenizer._grid(clip, num_samples), extra={}),
            "generate" if start.grid is None else "continue",
            prompt,
            seed,
            asdict(config) | length.settings,
            start.grid,
        )
        for clip, prompt, seed in zip(codes, request.texts, request.seeds, strict=True)
    ]
    return [Clip(audio=_audio(tokenizer, grid, config, length), grid=grid) for grid in grids]


def _codes(
    model: MusicModel,
    wanted: CodeRequest,
    num_frames: int,
    on_progress: Progress | None,
    on_column: OnColumn | None,
) -> np.ndarray:
    """Return int64 [clips, bands, frames]."""
    columns: list[np.ndarray] = []
    known = num_frames - wanted.num_frames
    most = 0

    def report(done: int) -> None:
        nonlocal most
        most = max(most, done)
        if on_progress:
            on_progress(most, num_frames)

    written = stream_codes(
        model.network, wanted, model.reranker, lambda frames: report(known + frames)
    )
    for column in written:
        columns.append(column)
        report(len(columns))
        if on_column:
            on_column(column[0])
    return np.stack(columns, axis=2)


def _audio(
    tokenizer: Tokenizer, grid: TokenGrid, config: GenerationConfig, length: ClipLength
) -> Audio:
    loudness = config.loudness_lufs
    if not config.loop:
        audio = tokenizer.decode(grid)
        audio = audio if loudness is None else normalize_loudness(audio, loudness)
        return fade_out(audio, config.fade_out)
    waveform = tokenizer.codec.decode_loop(grid.codes.astype(np.int64))
    waveform = resample_loop(waveform, length.num_samples)
    audio = Audio(waveform[None], tokenizer.sample_rate, of_extra(grid.extra))
    if loudness is None:
        return audio
    # Three passes, of which the limiter enters and leaves the second as it will in a loop.
    passes = replace(audio, waveform=np.tile(audio.waveform, 3))
    middle = slice(length.num_samples, 2 * length.num_samples)
    return replace(audio, waveform=normalize_loudness(passes, loudness).waveform[:, middle])


@dataclass(frozen=True, kw_only=True)
class _Start:
    """Music to continue.

    Attributes:
        grid: its frames; None for new music.
        num_samples: after which the new music begins.
    """

    grid: TokenGrid | None = None
    num_samples: int = 0

    @property
    def num_frames(self) -> int:
        return 0 if self.grid is None else self.grid.num_frames


def _start(tokenizer: Tokenizer, source: MusicSource | None, in_bars: bool) -> _Start:
    if source is None:
        return _Start()
    known = as_grid(tokenizer, source).mono()
    num_samples = known.num_frames * known.samples_per_frame
    if "encode_mode" in known.extra:  # generated frames are music to the end
        whole = known.whole_frames()
        cut = 1 < whole.num_frames < known.num_frames
        num_samples = known.num_samples or num_samples
        known = known.part(0, whole.num_frames - cut)
    if not known.num_frames:
        raise GridError(
            "got less than one frame to continue from; expected at least "
            f"{known.samples_per_frame} samples at {known.sample_rate} Hz"
        )
    if in_bars:  # which begin with the first frame that is new
        num_samples = known.num_frames * known.samples_per_frame
    return _Start(grid=known, num_samples=num_samples)
