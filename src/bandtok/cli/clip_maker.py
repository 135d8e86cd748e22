"""Clips of a job of `bandtok generate`: written, streamed, and described in a result."""

from __future__ import annotations

import math
import time
import wave
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bandtok.api.generation_config import GenerationConfig
from bandtok.cli import options
from bandtok.cli.console import ProgressBars, Report
from bandtok.cli.suffixes import TOKEN_SUFFIX
from bandtok.errors import printable
from bandtok.provenance import mark_wav, of_extra
from bandtok.signal.audio import Audio, load_audio
from bandtok.signal.loudness import integrated_loudness
from bandtok.signal.true_peak import Limiter, limit_blocks, true_peak_dbfs

if TYPE_CHECKING:
    from bandtok.api.clip import Clip
    from bandtok.api.music_model import MusicModel
    from bandtok.tokens.grid import TokenGrid


@dataclass(frozen=True, kw_only=True)
class ClipJob:
    """One clip to generate."""

    prompt: str
    seed: int
    target: Path

    def files(self, save_tokens: bool) -> list[Path]:
        """Return the files that are written."""
        return [self.target, *([self.target.with_suffix(TOKEN_SUFFIX)] if save_tokens else [])]


@dataclass(frozen=True, kw_only=True)
class ClipMaker:
    """A loaded model and the settings that all clips of a command share."""

    model: MusicModel
    duration: float
    config: GenerationConfig
    start: TokenGrid | None
    save_tokens: bool
    store_prompt: bool
    stream: bool
    sample_format: options.SampleFormat
    quiet: bool

    def make(self, jobs: Sequence[ClipJob], bars: ProgressBars) -> list[dict[str, object]]:
        """Generate clips in a batch, write their files and describe them."""
        began = time.perf_counter()
        for job in jobs:
            job.target.parent.mkdir(parents=True, exist_ok=True)
        more = f" and {len(jobs) - 1} more" if len(jobs) > 1 else ""
        with bars.task(printable(jobs[0].prompt)[:40] + more) as report:
            clips = (self._streamed if self.stream else self._whole)(jobs, report)
        elapsed = time.perf_counter() - began
        return [
            self._result(job, clip, limited, elapsed)
            for job, (clip, limited) in zip(jobs, clips, strict=True)
        ]

    def _result(self, job: ClipJob, clip: Clip, limited: int, elapsed: float) -> dict[str, object]:
        options.warn_of_limited(limited, job.target, self.quiet)
        result: dict[str, object] = {
            "prompt": job.prompt,
            "seed": job.seed,
            "target": str(job.target),
            "seconds": clip.audio.seconds,
            **_levels(load_audio(job.target) if self.stream else clip.audio),
            "limited_samples": limited,
            "elapsed_seconds": elapsed,
        }
        if self.save_tokens:
            tokens = job.target.with_suffix(TOKEN_SUFFIX)
            clip.grid.save(tokens)
            result["tokens"] = str(tokens)
        return result

    def _whole(self, jobs: Sequence[ClipJob], report: Report) -> list[tuple[Clip, int]]:
        """Generate clips and write them; return each with its number of limited samples."""
        clips = self.model.generate_batch(
            [job.prompt for job in jobs],
            duration_seconds=self.duration,
            seeds=[job.seed for job in jobs],
            config=self.config,
            continue_from=self.start,
            on_progress=report,
        )
        clips = [self._shown(clip, job) for job, clip in zip(jobs, clips, strict=True)]
        return [
            (clip, clip.audio.write(job.target, self.sample_format.value))
            for job, clip in zip(jobs, clips, strict=True)
        ]

    def _shown(self, clip: Clip, job: ClipJob) -> Clip:
        return clip.with_prompt(job.prompt) if self.store_prompt else clip

    def _streamed(self, jobs: Sequence[ClipJob], report: Report) -> list[tuple[Clip, int]]:
        # Not through a temporary file: the point is that the file is playable as it grows.
        (job,) = jobs
        from bandtok.api.streaming import ClipStream

        blocks = ClipStream(
            self.model.tokenizer,
            lambda on_column: self._written(job, report, on_column),
            self.config.loudness_lufs,
        )
        rate = self.model.tokenizer.sample_rate
        limiter = Limiter(rate, 1, 0.0, between_samples=False)
        sound = limit_blocks(blocks, limiter)
        first = next(sound, np.zeros((1, 0)))  # settings that cannot be are refused by now
        with _kept_until_done(job.target), wave.open(str(job.target), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            for block in chain([first], sound):
                file.writeframes(np.round(block[0].clip(-1, 1) * 32767).astype("<i2").tobytes())
        if marked := of_extra(blocks.clip.grid.extra):
            mark_wav(job.target, marked)
        return [(blocks.clip, limiter.samples_above)]

    def _written(
        self, job: ClipJob, report: Report, on_column: Callable[[np.ndarray], None]
    ) -> Clip:
        clip = self.model.generate(
            job.prompt,
            duration_seconds=self.duration,
            seed=job.seed,
            config=replace(self.config, loudness_lufs=None),  # the stream sets the level
            continue_from=self.start,
            on_progress=report,
            on_column=on_column,
        )
        return self._shown(clip, job)


@contextmanager
def _kept_until_done(path: Path) -> Iterator[None]:
    """Put what is at `path` aside while the block writes there; back if it fails."""
    aside = path.with_name(f".{path.name}.before")
    if path.exists():
        path.replace(aside)
    try:
        yield
    except BaseException:
        if aside.exists():
            aside.replace(path)
        raise
    aside.unlink(missing_ok=True)


def _levels(audio: Audio) -> dict[str, object]:
    """Return what --json says about the level of a clip; null for silence."""
    loudness = integrated_loudness(audio.waveform, audio.sample_rate)
    peak = true_peak_dbfs(audio.waveform, audio.sample_rate)
    return {
        "loudness_lufs": loudness if math.isfinite(loudness) else None,
        "true_peak_dbfs": peak if math.isfinite(peak) else None,
    }
