"""`bandtok edit`: a region is regenerated, all other tokens stay."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Annotated

import typer

import bandtok
from bandtok.api.generation_config import DEFAULT_SEED, GenerationConfig
from bandtok.cli import options, sampling
from bandtok.cli.batch import refuse_existing
from bandtok.cli.console import format_time, print_json, progress_bars, silent_codecs
from bandtok.cli.suffixes import AUDIO_OUTPUTS, TOKEN_SUFFIX
from bandtok.errors import PromptWarning, printable


def edit(
    source: Annotated[
        Path,
        typer.Argument(metavar="IN", help="Audio or token file.", show_default=False),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT", help="Audio file, or .btk for tokens.")
    ],
    region: Annotated[
        list[str],
        typer.Option(
            "--region",
            metavar="START-END[s][,LOW-HIGH[Hz]]",
            help="Region to regenerate; may be repeated.",
        ),
    ],
    prompt: Annotated[
        str, typer.Option("--prompt", metavar="P", help="Text that describes the new music.")
    ] = "",
    seed: sampling.Seed = DEFAULT_SEED,
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
            help="Candidates to generate; the one that fits best is taken.",
            min=1,
        ),
    ] = GenerationConfig.num_candidates,
    bpm: Annotated[
        float | None,
        typer.Option(
            "--bpm",
            metavar="BPM",
            help="Beats per minute from the beginning of IN on.  [default: no beat is given]",
            show_default=False,
        ),
    ] = GenerationConfig.bpm,
    key: sampling.Key = GenerationConfig.key,
    chords: sampling.Chords = GenerationConfig.chords,
    meter: sampling.Meter = GenerationConfig.meter,
    save_tokens: options.SaveTokens = False,
    store_prompt: options.StorePrompt = False,
    sample_format: options.Samples = options.SampleFormat.INT,
    model: options.Model = None,
    device: options.ChosenDevice = options.Device.AUTO,
    backend: options.ChosenBackend = options.Backend.AUTO,
    threads: options.Threads = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Regenerate a region and keep all other tokens."""
    allowed = {*AUDIO_OUTPUTS, TOKEN_SUFFIX}
    if output.suffix.lower() not in allowed:
        raise typer.BadParameter(f"the output {output} must end in {', '.join(sorted(allowed))}")
    options.check_sample_format([output], sample_format)
    regions = [bandtok.Region.parse(text) for text in region]
    tokens = output.with_suffix(TOKEN_SUFFIX)
    targets = [output, tokens] if save_tokens and tokens != output else [output]
    for target in targets:
        _refuse_own_source(source, target)
        refuse_existing(target, overwrite)
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
        meter=meter,
    )
    began = time.perf_counter()
    music_model = bandtok.MusicModel.from_pretrained(
        model, device=device.value, backend=backend.value, threads=threads
    )
    if quiet:
        warnings.simplefilter("ignore", PromptWarning)
    with silent_codecs(), progress_bars(quiet) as bars, bars.task("writing") as report:
        clip = music_model.edit(source, regions, prompt, seed, config, on_progress=report)
    if store_prompt:
        clip = clip.with_prompt(prompt)
    output.parent.mkdir(parents=True, exist_ok=True)
    limited = 0
    for target in targets:
        if target.suffix.lower() == TOKEN_SUFFIX:
            clip.grid.save(target)
        else:
            limited = clip.audio.write(target, sample_format.value)
    options.warn_of_limited(limited, output, quiet)
    elapsed = time.perf_counter() - began
    if json:
        result: dict[str, object] = {
            "source": str(source),
            "target": str(output),
            "prompt": prompt,
            "seed": seed,
            "seconds": clip.audio.seconds,
            "limited_samples": limited,
            "elapsed_seconds": elapsed,
        }
        print_json(result | ({"tokens": str(tokens)} if tokens in targets else {}))
    elif not quiet:
        line = f"{source} -> {output}: {format_time(clip.audio.seconds)}, seed {seed}"
        typer.echo(printable(f"{line}, made in {elapsed:.1f} s"))


def _refuse_own_source(source: Path, target: Path) -> None:
    if target.exists() and source.exists() and target.samefile(source):
        raise typer.BadParameter(f"{source} would be written over itself; choose another OUT")
