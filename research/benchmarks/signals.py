"""One tokenizer on all sorts of signals: speech, instruments, noise, tones, pulses, silence.

Run ``python -m research.benchmarks.signals --work DIR``; DIR keeps the fetched packages. Every
clip goes
through the whole chain; the page says by kind how well, and shows the ten worst with the reason.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from bandtok import Audio, Tokenizer
from bandtok.evaluation.plots import plot_mels
from bandtok.evaluation.reconstruction import log_mel
from bandtok.evaluation.systems import (
    ClipMeasures,
    measure,
    measure_output,
    named_systems,
    prepare,
    reconstruct,
)
from bandtok.signal.audio import load_audio
from bandtok.signal.mel import MelConfig
from bandtok.tokens import atomic
from research.benchmarks.signal_causes import Breakdown, break_down, why
from research.benchmarks.signal_clips import Clip, synthetic_clips
from research.benchmarks.signal_sources import Found, real_clips

BELOW_HZ = 15_000.0
WORST = 10
MUSIC = Path(__file__).parents[2] / "examples" / "audio" / "greece.flac"
DIFFERENCE_LIMIT = 4.0
_COLOURS = 96
_NAMED = 5
_TINY = 1e-12
_COLUMNS = (
    "mel < 15 kHz",
    "mel, all bins",
    "STFT",
    "ViSQOL",
    "flicker",
    "grain",
    "level error, dB",
    "tokens alone",
    "vocoder alone",
)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What was measured on one clip.

    Attributes:
        name, kind: the clip's.
        whole: the whole chain's measures.
        tokens_only, vocoder_only: mel distance below the limit of each half of the chain.
        level_error_db: root mean square of the output over the original's; None for silence.
        output_peak_db: of the output, in dBFS.
        causes: where the mel error lies.
    """

    name: str
    kind: str
    whole: ClipMeasures
    tokens_only: float
    vocoder_only: float
    level_error_db: float | None
    output_peak_db: float
    causes: Breakdown


def run(
    tokenizer: Tokenizer, clips: Sequence[Clip], visqol: bool
) -> list[tuple[Result, np.ndarray, np.ndarray]]:
    """Measure every clip; give each result with the ln-mels before and after."""
    measured = []
    for number, clip in enumerate(clips, 1):
        found = _measured(tokenizer, clip, visqol)
        measured.append(found)
        distance = found[0].whole.mel_below
        print(f"{number}/{len(clips)} {clip.name}: {distance:.3f}", file=sys.stderr, flush=True)
    return measured


def _measured(
    tokenizer: Tokenizer, clip: Clip, visqol: bool
) -> tuple[Result, np.ndarray, np.ndarray]:
    chain, tokens, vocoder = named_systems(("bandtok", "mel-only", "vocoder-only"))
    prepared = prepare(clip.audio, tokenizer)
    output = reconstruct(chain, prepared, tokenizer)
    config = tokenizer.config.mel
    whole = measure_output(prepared, output, config, below_hz=BELOW_HZ, visqol=visqol)
    halves = [
        measure(system, prepared, tokenizer, below_hz=BELOW_HZ, visqol=False)
        for system in (tokens, vocoder)
    ]
    mels = [log_mel(config)(audio.waveform[0]) for audio in (clip.audio, output)]
    result = Result(
        name=clip.name,
        kind=clip.kind,
        whole=whole,
        tokens_only=halves[0].mel_below,
        vocoder_only=halves[1].mel_below,
        level_error_db=_level_error_db(clip.audio, output),
        output_peak_db=_decibels(float(np.abs(output.waveform).max(initial=0.0))),
        causes=break_down(mels[0], mels[1], config, BELOW_HZ),
    )
    return result, mels[0], mels[1]


def _level_error_db(original: Audio, output: Audio) -> float | None:
    before, after = (float(np.sqrt(np.square(a.waveform).mean())) for a in (original, output))
    return _decibels(after) - _decibels(before) if before > 0 else None


def _decibels(amplitude: float) -> float:
    return float(20 * np.log10(amplitude + _TINY))


def kind_table(results: Sequence[Result]) -> str:
    """Write one row a kind: means, of flicker and grain the median, of levels the mean size."""
    kinds = dict.fromkeys(result.kind for result in results)
    rows = []
    for kind in kinds:
        own = [_figures(result) for result in results if result.kind == kind]
        columns = list(zip(*own, strict=True))
        rows.append([f"{kind} ({len(own)})", *(_summary(*item) for item in enumerate(columns))])
    return _markdown(["kind (clips)", *_COLUMNS], rows)


def clip_table(results: Sequence[Result]) -> str:
    """Write one row a clip, worst first."""
    rows = [
        [result.name, result.kind, *map(_shown, _figures(result)), f"{result.output_peak_db:.1f}"]
        for result in results
    ]
    return _markdown(["clip", "kind", *_COLUMNS, "output peak, dBFS"], rows)


def _figures(result: Result) -> tuple[float | None, ...]:
    """Return the figures in the order of the columns; those that mean nothing are None."""
    whole = result.whole
    return (
        whole.mel_below,
        whole.mel,
        None if result.level_error_db is None else whole.stft,
        whole.visqol,
        whole.flicker,
        whole.grain,
        result.level_error_db,
        result.tokens_only,
        result.vocoder_only,
    )


def _summary(column: int, values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    if _COLUMNS[column] in ("flicker", "grain"):
        return _shown(statistics.median(known))
    sizes = map(abs, known) if "level" in _COLUMNS[column] else known
    return _shown(statistics.fmean(sizes))


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}" if abs(value) >= 100 else f"{value:.2f}"


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def rng(path: Path, before: np.ndarray, after: np.ndarray, config: MelConfig, title: str) -> None:
    """Write the picture of one clip as a PNG of few colors, so that ten of them stay small."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plot_mels(path, before, after, config, title=title, difference_limit=DIFFERENCE_LIMIT)
    with Image.open(path) as picture:
        reduced = picture.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    with atomic.replacing(path) as temporary:
        reduced.save(temporary, format="PNG", optimize=True)


def page(results: Sequence[Result], found: Found, facts: dict[str, str], pictures: str) -> str:
    """Write the page that goes into the documentation; `results` are the worst first."""
    worst = "\n\n".join(
        f"**{number}. {result.name}** ({result.whole.mel_below:.2f}): {_why(result)}.\n\n"
        f"![{result.name}: mel before, after, difference]({pictures}/{number:02d}.png)"
        for number, result in enumerate(results[:WORST], 1)
    )
    left_out = "\n".join(f"- {line}" for line in found.left_out) or "Nothing."
    by_kind = sorted(results, key=lambda result: (result.kind, result.name))
    listed = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    return (
        "# All sorts of signals\n\n"
        "One tokenizer on speech, solo instruments, noise, tones, pulses and silence; made by "
        "`python -m research.benchmarks.signals --work DIR --write docs/benchmarks/signals.md` "
        "(with `--visqol` for that column). "
        "Mel distances are mean absolute differences of ln-mels (1 is 8.7 dB); flicker and "
        "grain say how much the mel changes from frame to frame and bin to bin, relative to the "
        "original's: 1 is right, and over a steady tone, which hardly changes, large. Level error "
        "is the output's root mean square over the original's. The last two columns are the mel "
        "distance below 15 kHz of the decoded mel, and of the vocoder on the original's mel. "
        f"Rows are means, of flicker and grain medians, of levels mean sizes.\n\n"
        f"{_remarks(results)}\n\n"
        f"{kind_table(by_kind)}\n\n## The {min(WORST, len(results))} worst clips\n\n"
        "By mel distance below 15 kHz, with what the numbers say. The pictures go down to the "
        f"level of digital silence; the colors of the difference end at {DIFFERENCE_LIMIT:.0f}."
        f"\n\n{worst}\n\n## Every clip, the worst first\n\n{clip_table(results)}\n\n"
        f"## Conditions\n\n{listed}\n\n## Left out\n\n{left_out}\n"
    )


def _remarks(results: Sequence[Result]) -> str:
    """Say what a mel distance does not: silence, lost level, overload."""
    rated = [(r.level_error_db, r.name) for r in results if r.level_error_db is not None]
    largest = sorted(rated, key=lambda item: -abs(item[0]))[:_NAMED]
    said = [
        f"Digital {result.name} comes back with a peak of {result.output_peak_db:.1f} dBFS."
        for result in results
        if result.level_error_db is None
    ]
    said.append(
        "Largest level errors: " + "; ".join(f"{name} {db:+.1f} dB" for db, name in largest) + "."
    )
    over = [f"{r.name} {r.output_peak_db:+.1f} dBFS" for r in results if r.output_peak_db > 0]
    said.append(f"Peaks over full scale: {'; '.join(over) or 'none'}.")
    return " ".join(said)


def _why(result: Result) -> str:
    variation = {"frame": result.whole.flicker, "bin": result.whole.grain}
    said = why(result.causes, result.level_error_db, variation)
    return f"{said}; tokens alone {result.tokens_only:.2f}, vocoder {result.vocoder_only:.2f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for fetched packages")
    parser.add_argument("--model", help="tokenizer to measure; default the bundled one")
    parser.add_argument("--duration", type=float, default=5.0, help="length of each clip")
    parser.add_argument("--visqol", action="store_true", help="also rate by ViSQOL (slower)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the tables")
    parser.add_argument("--write", type=Path, metavar="FILE.md", help="write a page, with pictures")
    options = parser.parse_args(arguments)
    if not 1 <= options.duration <= 10:
        parser.error(f"got --duration {options.duration}; expected 1 to 10")
    began = time.monotonic()
    tokenizer = Tokenizer.from_pretrained(options.model, device="cpu")
    rate = tokenizer.sample_rate
    found = real_clips(options.work, options.duration, rate)
    clips = [*synthetic_clips(options.duration, rate, load_audio(MUSIC)), *found.clips]
    measured = run(tokenizer, clips, options.visqol)
    measured.sort(key=lambda item: -item[0].whole.mel_below)
    results = [item[0] for item in measured]
    facts = {
        "model": f"{tokenizer.model_id} {tokenizer.fingerprint[:12]}",
        "clips": f"{len(clips)} of {options.duration:g} s at {rate} Hz",
        "packages": ", ".join(found.packages) or "none",
        "torch": f"{torch.__version__}, {torch.get_num_threads()} thread(s)",
        "took": f"{(time.monotonic() - began) / 60:.0f} minutes at load {os.getloadavg()[0]:.1f}",
    }
    if options.write:
        folder = options.write.with_suffix("")
        for number, (result, before, after) in enumerate(measured[:WORST], 1):
            picture = folder / f"{number:02d}.png"
            rng(picture, before, after, tokenizer.config.mel, result.name)
        atomic.write_text(options.write, page(results, found, facts, folder.name))
    if options.json:
        print(json.dumps({"conditions": facts, "clips": [asdict(r) for r in results]}, indent=2))
    else:
        print(f"{kind_table(results)}\n\n{clip_table(results)}")


if __name__ == "__main__":
    main()
