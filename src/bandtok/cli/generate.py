"""`bandtok generate`: prompts -> music."""

from __future__ import annotations

import re
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import bandtok
from bandtok.api.generation_config import DEFAULT_DURATION_SECONDS, DEFAULT_SEED, GenerationConfig
from bandtok.cli import options, sampling
from bandtok.cli.batch import refuse_existing
from bandtok.cli.clip_maker import ClipJob, ClipMaker
from bandtok.cli.console import format_time, print_json, progress_bars
from bandtok.cli.suffixes import AUDIO_OUTPUTS
from bandtok.errors import DataError, PromptWarning
from bandtok.evaluation.prompts import PROMPT_SETS, named_prompts

if TYPE_CHECKING:
    pass

_MAX_PROMPTS_BYTES = 1 << 20


def generate(
    context: typer.Context,
    prompt: Annotated[
        str | None,
        typer.Argument(metavar="PROMPT", help="Text that describes the music.", show_default=False),
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
            "--prompts",
            metavar="FILE",
            help="Text file with one prompt per line, - for stdin, or 'bundled' or 'musiccaps'.",
        ),
    ] = None,
    duration: Annotated[
        float, typer.Option("--duration", metavar="SECONDS", help="Length of the clip.", min=0.1)
    ] = DEFAULT_DURATION_SECONDS,
    seed: Annotated[
        int,
        typer.Option(
            "--seed",
            help="Random seed; clip i has seed + i.",
            min=0,
            max=sampling.LARGEST_SEED,
        ),
    ] = DEFAULT_SEED,
    num_samples: Annotated[
        int, typer.Option("--num-samples", metavar="N", help="Clips per prompt.", min=1)
    ] = 1,
    temperature: sampling.Temperature = GenerationConfig.temperature,
    top_k: sampling.TopK = GenerationConfig.top_k,
    top_p: sampling.TopP = GenerationConfig.top_p,
    guidance_scale: sampling.GuidanceScale = GenerationConfig.guidance_scale,
    beat_guidance_scale: sampling.BeatGuidanceScale = GenerationConfig.beat_guidance_scale,
    harmony_guidance_scale: sampling.HarmonyGuidanceScale = (
        GenerationConfig.harmony_guidance_scale
    ),
    level_strength: sampling.LevelStrength = GenerationConfig.level_strength,
    num_candidates: Annotated[
        int,
        typer.Option(
            "--num-candidates",
            metavar="N",
            help="Candidates to generate; the one that matches the prompt best is continued.",
            min=1,
        ),
    ] = GenerationConfig.num_candidates,
    bpm: Annotated[
        float | None,
        typer.Option(
            "--bpm",
            metavar="BPM",
            help="Beats per minute, 0 for no beat.  [default: sampled to suit the prompt]",
            show_default=False,
        ),
    ] = GenerationConfig.bpm,
    key: sampling.Key = GenerationConfig.key,
    chords: sampling.Chords = GenerationConfig.chords,
    bars: Annotated[
        int | None,
        typer.Option(
            "--bars",
            metavar="N",
            help="Length in whole bars, in place of --duration.",
            min=1,
            show_default=False,
        ),
    ] = GenerationConfig.bars,
    meter: sampling.Meter = GenerationConfig.meter,
    loop: Annotated[
        bool,
        typer.Option("--loop", help="Make a loop of whole bars: the end leads into the beginning."),
    ] = GenerationConfig.loop,
    fade_out: Annotated[
        float,
        typer.Option(
            "--fade-out", metavar="SECONDS", help="Fade the end out; 0 is no fade.", min=0
        ),
    ] = GenerationConfig.fade_out,
    continue_from: Annotated[
        Path | None,
        typer.Option("--continue-from", metavar="AUDIO|BTK", help="Audio or tokens to continue."),
    ] = None,
    stream: Annotated[
        bool,
        typer.Option(
            "--stream", help="Write OUT.wav while the music is generated, playable at once."
        ),
    ] = False,
    loudness: Annotated[
        float | None,
        typer.Option(
            "--loudness",
            metavar="LUFS",
            help="Integrated loudness of each clip, -60 to 0; true peaks stay below -1 dBFS.",
        ),
    ] = GenerationConfig.loudness_lufs,
    no_normalize: Annotated[
        bool, typer.Option("--no-normalize", help="Keep the level that the tokens decode to.")
    ] = False,
    batch_size: Annotated[
        int,
        typer.Option(
            "--batch-size",
            metavar="N",
            help="Clips per batch; more are faster and need memory.",
            min=1,
        ),
    ] = 8,
    save_tokens: options.SaveTokens = False,
    store_prompt: options.StorePrompt = False,
    model: options.Model = None,
    device: options.ChosenDevice = options.Device.AUTO,
    backend: options.ChosenBackend = options.Backend.AUTO,
    threads: options.Threads = None,
    format: options.FolderFormat = options.AudioFormat.WAV,
    sample_format: options.Samples = options.SampleFormat.INT,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Generate music from a prompt."""
    jobs = plan_clips(
        prompt, prompts, output, seed=seed, num_samples=num_samples, suffix=f".{format.value}"
    )
    if stream and any(job.target.suffix.lower() != ".wav" for job in jobs):
        raise typer.BadParameter("--stream writes .wav only")
    if stream and sample_format is options.SampleFormat.FLOAT:
        raise typer.BadParameter("--stream writes 16-bit integers, not --sample-format float")
    options.check_sample_format((job.target for job in jobs), sample_format)
    if no_normalize and _is_given(context, "loudness"):
        raise typer.BadParameter("give either --loudness or --no-normalize")
    config = GenerationConfig(
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        guidance_scale=guidance_scale,
        beat_guidance_scale=beat_guidance_scale,
        harmony_guidance_scale=harmony_guidance_scale,
        level_strength=level_strength,
        num_candidates=num_candidates,
        bpm=bpm,
        key=key,
        chords=chords,
        bars=bars,
        meter=meter,
        loop=loop,
        fade_out=fade_out,
        loudness_lufs=None if no_normalize else loudness,
    )
    _check_length(context, config, stream, continue_from)
    planned = len(jobs)
    if prompts is not None and not overwrite:
        jobs = [job for job in jobs if not all(file.exists() for file in job.files(save_tokens))]
    for job in jobs if prompts is None else ():
        for file in job.files(save_tokens):
            refuse_existing(file, overwrite)
    from bandtok.api.inputs import as_grid

    music_model = bandtok.MusicModel.from_pretrained(
        model, device=device.value, backend=backend.value, threads=threads
    )
    music_model.check_bpm(bpm)
    if quiet:
        warnings.simplefilter("ignore", PromptWarning)
    maker = ClipMaker(
        model=music_model,
        duration=duration,
        config=config,
        start=None if continue_from is None else as_grid(music_model.tokenizer, continue_from),
        save_tokens=save_tokens,
        store_prompt=store_prompt,
        stream=stream,
        sample_format=sample_format,
        quiet=quiet,
    )
    clips = []
    size = 1 if stream else batch_size
    with progress_bars(quiet) as progress:
        for first in range(0, len(jobs), size):
            for clip in maker.make(jobs[first : first + size], progress):
                clips.append(clip)
                if not quiet and not json:
                    typer.echo(_line(clip))
    skipped = planned - len(jobs)
    if json:
        print_json({"clips": clips, "skipped": skipped})
    elif skipped and not quiet:
        typer.echo(
            f"{len(jobs)} done, {skipped} skipped: they are there; --overwrite makes them new"
        )


def _check_length(
    context: typer.Context, config: GenerationConfig, stream: bool, continue_from: Path | None
) -> None:
    """Raise typer.BadParameter for options of length and ending that exclude each other."""
    if config.bars is not None and _is_given(context, "duration"):
        raise typer.BadParameter("give either --duration or --bars")
    if _is_given(context, "meter") and not (config.in_bars or config.chords):
        raise typer.BadParameter("--meter goes with --bars, --loop or --chords")
    if config.loop and continue_from is not None:
        raise typer.BadParameter("--loop makes new music, not with --continue-from")
    if stream and (config.loop or config.fade_out):
        raise typer.BadParameter("--stream cannot know the end: not with --loop or --fade-out")


def plan_clips(
    prompt: str | None,
    prompts: Path | None,
    output: Path,
    *,
    seed: int,
    num_samples: int,
    suffix: str,
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
        ClipJob(prompt=text, seed=seed + i, target=_numbered(stem, i, num_samples))
        for text, stem in zip(texts, stems, strict=True)
        for i in range(num_samples)
    ]


def read_prompts(path: Path) -> list[str]:
    """Return lines of a UTF-8 text file (- for stdin) that are not blank, or a fixed set.

    Raises:
        DataError: if there is none, or the file is no text of at most 1 MiB.
    """
    if str(path) in PROMPT_SETS and not path.exists():
        return [prompt.text for prompt in named_prompts(str(path))]
    if str(path) == "-":
        return _prompts_in(sys.stdin.buffer.read(_MAX_PROMPTS_BYTES), "standard input")
    if path.stat().st_size > _MAX_PROMPTS_BYTES:
        raise DataError(f"{path} is larger than {_MAX_PROMPTS_BYTES} bytes; expected prompts")
    return _prompts_in(path.read_bytes(), str(path))


def _prompts_in(content: bytes, name: str) -> list[str]:
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{name} is not UTF-8 text; expected one prompt per line") from None
    found = [line.strip() for line in lines if line.strip()]
    if not found:
        raise DataError(f"{name} holds no prompt; expected one per line")
    return found


def _is_given(context: typer.Context, name: str) -> bool:
    """Return whether the user gave the option, rather than its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _line(clip: dict[str, object]) -> str:
    seconds, elapsed = clip["seconds"], clip["elapsed_seconds"]
    assert isinstance(seconds, float)
    assert isinstance(elapsed, float)
    return f"{clip['target']}: {format_time(seconds)}, seed {clip['seed']}, made in {elapsed:.1f} s"


def _numbered(path: Path, index: int, count: int) -> Path:
    return path if count == 1 else path.with_name(f"{path.stem}-{index + 1}{path.suffix}")


def _slug(prompt: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")[:40].strip("-") or "clip"
