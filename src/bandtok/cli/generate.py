"""`bandtok generate`: prompts -> music."""

from __future__ import annotations

import importlib
import re
import time
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import numpy as np
import typer

import bandtok
from bandtok.cli import options
from bandtok.cli.batch import refuse_existing
from bandtok.cli.console import ProgressBars, Report, clock, print_json, progress_bars
from bandtok.cli.suffixes import AUDIO_OUTPUTS, TOKEN_SUFFIX
from bandtok.errors import DataError
from bandtok.evaluation.prompts import bundled_prompts

if TYPE_CHECKING:
    from torch import Tensor

    from bandtok.grid import TokenGrid
    from bandtok.pipeline import Clip, MusicModel

_MAX_PROMPTS_BYTES = 1 << 20


class Sampling(TypedDict, total=False):
    """Sampling settings given by the user; what is absent is the model's own default."""

    temperature: float
    top_k: int
    top_p: float
    guidance_scale: float


@dataclass(frozen=True, kw_only=True)
class ClipJob:
    """One clip to generate."""

    prompt: str
    seed: int
    target: Path


def generate(
    prompt: Annotated[
        str | None, typer.Argument(metavar="PROMPT", help="What to play.", show_default=False)
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="OUT.wav", help="Audio file; a folder with --prompts."
        ),
    ] = ...,  # type: ignore[assignment]
    prompts: Annotated[
        Path | None,
        typer.Option(
            "--prompts", metavar="FILE", help="Text file with one prompt a line, or 'bundled'."
        ),
    ] = None,
    duration: Annotated[
        float, typer.Option("--duration", metavar="SECONDS", help="Length of the clip.", min=0.1)
    ] = 10.0,
    seed: Annotated[
        int, typer.Option("--seed", help="Same seed, same tokens; clip i has seed + i.", min=0)
    ] = 0,
    n: Annotated[int, typer.Option("--n", help="Clips a prompt.", min=1)] = 1,
    temperature: Annotated[
        float | None, typer.Option("--temperature", help="Below 1 safer, above 1 wilder.", min=0)
    ] = None,
    top_k: Annotated[
        int | None, typer.Option("--top-k", help="Draw from the k likeliest tokens; 0: all.", min=0)
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option("--top-p", help="Draw from the tokens that hold this probability.", max=1),
    ] = None,
    guidance_scale: Annotated[
        float | None,
        typer.Option("--guidance-scale", help="How closely to follow the prompt; 1: no guidance."),
    ] = None,
    continue_from: Annotated[
        Path | None,
        typer.Option(
            "--continue-from", metavar="AUDIO|BTK", help="Begin with this and play on from it."
        ),
    ] = None,
    stream: Annotated[
        bool,
        typer.Option(
            "--stream", help="Write OUT.wav while the music is made, to be played at once."
        ),
    ] = False,
    save_tokens: Annotated[
        bool, typer.Option("--save-tokens", help="Also write the tokens, as OUT.btk.")
    ] = False,
    model: options.Model = None,
    device: options.ChosenDevice = options.Device.AUTO,
    format: options.FolderFormat = options.AudioFormat.WAV,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Make music from a prompt."""
    jobs = plan_clips(prompt, prompts, output, seed=seed, n=n, suffix=f".{format.value}")
    if stream and any(job.target.suffix.lower() != ".wav" for job in jobs):
        raise typer.BadParameter("--stream writes .wav only")
    for job in jobs:
        refuse_existing(job.target, overwrite)
        if save_tokens:
            refuse_existing(job.target.with_suffix(TOKEN_SUFFIX), overwrite)
    music_model = bandtok.MusicModel.from_pretrained(model, device=device.value)
    maker = ClipMaker(
        model=music_model,
        duration=duration,
        sampling=_sampling(temperature, top_k, top_p, guidance_scale),
        start=_start_grid(music_model, continue_from),
        save_tokens=save_tokens,
        stream=stream,
    )
    clips = []
    with progress_bars(quiet) as bars:
        for job in jobs:
            clips.append(maker.make(job, bars))
            if not quiet and not json:
                typer.echo(_line(clips[-1]))
    if json:
        print_json({"clips": clips})


def plan_clips(
    prompt: str | None, prompts: Path | None, output: Path, *, seed: int, n: int, suffix: str
) -> list[ClipJob]:
    """Decide which clips are made and where they go.

    Raises:
        typer.BadParameter: if not one of prompt and file is given, or `output` does not fit.
        DataError: if the file holds no prompt.
    """
    if (prompt is None) == (prompts is None):
        raise typer.BadParameter("give either a PROMPT or --prompts FILE")
    if prompts is not None:
        if output.suffix.lower() in AUDIO_OUTPUTS or output.is_file():
            raise typer.BadParameter(f"with --prompts the output {output} must be a folder")
        texts = read_prompts(prompts)
        stems = [output / f"{i:03d}-{_slug(text)}{suffix}" for i, text in enumerate(texts, 1)]
    else:
        texts = [prompt or ""]
        stems = [output / f"{_slug(texts[0])}{suffix}" if output.is_dir() else output]
        if stems[0].suffix.lower() not in AUDIO_OUTPUTS:
            raise typer.BadParameter(
                f"the output {output} must end in {', '.join(sorted(AUDIO_OUTPUTS))}"
            )
    return [
        ClipJob(prompt=text, seed=seed + i, target=_numbered(stem, i, n))
        for text, stem in zip(texts, stems, strict=True)
        for i in range(n)
    ]


def read_prompts(path: Path) -> list[str]:
    """Return the lines of a UTF-8 text file that are not blank; "bundled" is the fixed set.

    Raises:
        DataError: if there is none, or the file is no text of at most 1 MiB.
    """
    if path == Path("bundled") and not path.exists():
        return [prompt.text for prompt in bundled_prompts()]
    if path.stat().st_size > _MAX_PROMPTS_BYTES:
        raise DataError(f"{path} is larger than {_MAX_PROMPTS_BYTES} bytes; expected prompts")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text; expected one prompt a line") from None
    found = [line.strip() for line in lines if line.strip()]
    if not found:
        raise DataError(f"{path} holds no prompt; expected one a line")
    return found


@dataclass(frozen=True, kw_only=True)
class ClipMaker:
    """A loaded model and the settings that all clips of a command share."""

    model: MusicModel
    duration: float
    sampling: Sampling
    start: TokenGrid | None
    save_tokens: bool
    stream: bool

    def make(self, job: ClipJob, bars: ProgressBars) -> dict[str, object]:
        """Generate one clip, write its files and say what was made."""
        began = time.perf_counter()
        job.target.parent.mkdir(parents=True, exist_ok=True)
        with bars.task(job.prompt[:40]) as report:
            clip = (self._streamed if self.stream else self._whole)(job, report)
        result: dict[str, object] = {
            "prompt": job.prompt,
            "seed": job.seed,
            "target": str(job.target),
            "seconds": clip.audio.seconds,
            "elapsed_seconds": time.perf_counter() - began,
        }
        if self.save_tokens:
            tokens = job.target.with_suffix(TOKEN_SUFFIX)
            clip.grid.save(tokens)
            result["tokens"] = str(tokens)
        return result

    def _whole(self, job: ClipJob, report: Report) -> Clip:
        clip = self._generate(job, report, None)
        clip.audio.save(job.target)
        return clip

    def _streamed(self, job: ClipJob, report: Report) -> Clip:
        # Not through a temporary file: the point is that the file can be played as it grows.
        streaming = importlib.import_module("bandtok.streaming")
        blocks = streaming.ClipStream(
            self.model.tokenizer, lambda on_column: self._generate(job, report, on_column)
        )
        with wave.open(str(job.target), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(self.model.tokenizer.sample_rate)
            for block in blocks:
                file.writeframes(np.round(block[0].clip(-1, 1) * 32767).astype("<i2").tobytes())
        clip: Clip = blocks.clip
        return clip

    def _generate(
        self, job: ClipJob, report: Report, on_column: Callable[[Tensor], None] | None
    ) -> Clip:
        return self.model.generate(
            job.prompt,
            duration_seconds=self.duration,
            seed=job.seed,
            continue_from=self.start,
            on_progress=report,
            on_column=on_column,
            **self.sampling,
        )


def _line(clip: dict[str, object]) -> str:
    seconds, elapsed = clip["seconds"], clip["elapsed_seconds"]
    assert isinstance(seconds, float)
    assert isinstance(elapsed, float)
    return f"{clip['target']}: {clock(seconds)}, seed {clip['seed']}, made in {elapsed:.1f} s"


def _start_grid(model: MusicModel, path: Path | None) -> TokenGrid | None:
    if path is None:
        return None
    if path.suffix.lower() == TOKEN_SUFFIX:
        return bandtok.TokenGrid.load(path)
    return model.tokenizer.encode(path)


def _sampling(
    temperature: float | None, top_k: int | None, top_p: float | None, guidance_scale: float | None
) -> Sampling:
    sampling = Sampling()
    if temperature is not None:
        sampling["temperature"] = temperature
    if top_k is not None:
        sampling["top_k"] = top_k
    if top_p is not None:
        sampling["top_p"] = top_p
    if guidance_scale is not None:
        sampling["guidance_scale"] = guidance_scale
    return sampling


def _numbered(path: Path, index: int, n: int) -> Path:
    return path if n == 1 else path.with_name(f"{path.stem}-{index + 1}{path.suffix}")


def _slug(prompt: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")[:40].strip("-") or "clip"
