"""Time BandTok against Mimi and EnCodec-48k: encode and decode of the same music, in one run.

    python -m research.benchmarks.codec_speed [--threads N] [--repeats K] [--json] [--write FILE.md]

The peers are transformers' own classes with their published configurations and random weights,
which take the same time as trained ones. All systems run in turn, again and again, so that other
load on the machine falls on each of them; the median is reported. Each works at its own rate, and
neither reading the file nor resampling is timed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from transformers import EncodecConfig, EncodecModel, MimiConfig, MimiModel

from bandtok import Tokenizer
from bandtok.signal.audio import Audio, load_audio
from bandtok.signal.find_files import find_audio_files
from bandtok.tokens import atomic

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "audio"
ENCODEC_48KHZ = {
    "sampling_rate": 48_000,
    "audio_channels": 2,
    "normalize": True,
    "chunk_length_s": 1.0,
    "overlap": 0.01,
    "norm_type": "time_group_norm",
    "use_causal_conv": False,
    "target_bandwidths": [3.0, 6.0, 12.0, 24.0],
    "upsampling_ratios": [8, 5, 4, 2],
}
ENCODEC_KBPS = 6.0
MIMI_QUANTIZERS = 8


@dataclass(frozen=True, kw_only=True)
class Codec:
    """A system to time: `encode` takes the music, `decode` takes what `encode` gave."""

    name: str
    setting: str
    encode: Callable[[], Any]
    decode: Callable[[Any], Any]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds of work for one second of audio: median, and the range of all repeats."""

    median: float
    lowest: float
    highest: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """One system's result; ratios are its median over BandTok's."""

    name: str
    setting: str
    encode: Timing
    decode: Timing
    encode_ratio: float
    decode_ratio: float


def bandtok_codec(audio: Audio, model: str | None, threads: int) -> Codec:
    """BandTok as its users call it: mel, network and windows included."""
    tokenizer = Tokenizer.from_pretrained(model, device="cpu", threads=threads)
    mono = audio.mono().resampled(tokenizer.sample_rate)
    return Codec(
        name="BandTok",
        setting=f"{tokenizer.sample_rate / 1000:g} kHz mono, "
        f"{tokenizer.bit_rate_bps / 1000:.2f} kbit/s",
        encode=lambda: tokenizer.encode(mono),
        decode=tokenizer.decode,
    )


def mimi_codec(audio: Audio) -> Codec:
    """Mimi, 24 kHz mono, the eight codebooks that Moshi uses."""
    network = MimiModel(MimiConfig()).eval()
    waveform = torch.from_numpy(audio.mono().resampled(24_000).waveform)[None]
    return Codec(
        name="Mimi",
        setting=f"24 kHz mono, {MIMI_QUANTIZERS * 11 * 12.5 / 1000:.1f} kbit/s",
        encode=lambda: network.encode(waveform, num_quantizers=MIMI_QUANTIZERS).audio_codes,
        decode=lambda codes: network.decode(codes).audio_values,
    )


def encodec_codec(audio: Audio) -> Codec:
    """EnCodec, 48 kHz stereo, 6 kbit/s, in its one-second chunks."""
    network = EncodecModel(EncodecConfig(**ENCODEC_48KHZ)).eval()
    resampled = audio.resampled(48_000).waveform
    stereo = np.repeat(resampled, 2, axis=0) if len(resampled) == 1 else resampled[:2]
    waveform = torch.from_numpy(np.ascontiguousarray(stereo))[None]
    mask = torch.ones(1, 1, waveform.shape[2], dtype=torch.bool)

    def encode() -> Any:
        return network.encode(waveform, mask, bandwidth=ENCODEC_KBPS)

    def decode(encoded: Any) -> Any:
        return network.decode(
            encoded.audio_codes,
            encoded.audio_scales,
            mask,
            last_frame_pad_length=encoded.last_frame_pad_length,
        ).audio_values

    return Codec(
        name="EnCodec 48 kHz",
        setting=f"48 kHz stereo, {ENCODEC_KBPS:.0f} kbit/s",
        encode=encode,
        decode=decode,
    )


def music(seconds: float) -> tuple[Audio, str]:
    """Return the start of the first long enough example recording, or noise when there is none."""
    for path in find_audio_files(EXAMPLES) if EXAMPLES.is_dir() else []:
        audio = load_audio(path)
        if audio.seconds >= seconds:
            samples = round(seconds * audio.sample_rate)
            return Audio(audio.waveform[:, :samples], audio.sample_rate), path.name
    noise = np.random.default_rng(0).standard_normal((1, round(seconds * 44_100)))
    return Audio((0.1 * noise).astype(np.float32), 44_100), "noise"


def run(codecs: list[Codec], seconds: float, repeats: int) -> list[Row]:
    """Time all systems in turn, `repeats` times after one untimed round."""
    times: dict[str, tuple[list[float], list[float]]] = {c.name: ([], []) for c in codecs}
    with torch.inference_mode():
        for turn in range(repeats + 1):
            for codec in codecs[turn % len(codecs) :] + codecs[: turn % len(codecs)]:
                start = time.perf_counter()
                encoded = codec.encode()
                middle = time.perf_counter()
                codec.decode(encoded)
                end = time.perf_counter()
                if turn:
                    times[codec.name][0].append((middle - start) / seconds)
                    times[codec.name][1].append((end - middle) / seconds)
    timings = {name: tuple(map(_timing, both)) for name, both in times.items()}
    own_encode, own_decode = timings[codecs[0].name]
    return [
        Row(
            name=codec.name,
            setting=codec.setting,
            encode=timings[codec.name][0],
            decode=timings[codec.name][1],
            encode_ratio=timings[codec.name][0].median / own_encode.median,
            decode_ratio=timings[codec.name][1].median / own_decode.median,
        )
        for codec in codecs
    ]


def _timing(seconds: list[float]) -> Timing:
    return Timing(median=statistics.median(seconds), lowest=min(seconds), highest=max(seconds))


def conditions(source: str, options: argparse.Namespace) -> dict[str, Any]:
    """Describe the machine and the run, as far as they bear on the times."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "torch": torch.__version__,
        "onnxruntime": version("onnxruntime"),
        "transformers": transformers.__version__,
        "python": platform.python_version(),
        "audio": source,
        "seconds": options.duration,
        "repeats": options.repeats,
        "model": options.model or "bundled",
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def table(rows: list[Row]) -> str:
    """Write the result as a Markdown table."""
    lines = [
        "| system | encode | decode | encode, times BandTok's | decode, times BandTok's |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        cells = [
            f"{row.name} ({row.setting})",
            *(f"{t.median:.4f} ({t.lowest:.4f}–{t.highest:.4f})" for t in (row.encode, row.decode)),
            f"{row.encode_ratio:.1f}",
            f"{row.decode_ratio:.1f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def page(rows: list[Row], facts: dict[str, Any]) -> str:
    """Write the page that goes into the documentation."""
    listed = "\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in facts.items())
    return (
        "# Codec speed\n\n"
        "Seconds of work for one second of audio, median (lowest–highest) of one interleaved run; "
        "made by `python -m research.benchmarks.codec_speed --write docs/benchmarks/codec_speed.md`. Peers "  # noqa: E501
        "are transformers' classes with random weights; each system works at its own rate; reading "
        f"and resampling are not timed.\n\n{table(rows)}\n\n## Conditions\n\n{listed}\n"
    )


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="tokenizer to time; default the bundled one")
    parser.add_argument("--duration", type=float, default=10.0, help="length of the music")
    parser.add_argument("--repeats", type=int, default=5, help="timed rounds")
    parser.add_argument("--threads", type=int, help="threads; default all cores")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--write", metavar="FILE.md", help="also write the result as a page")
    options = parser.parse_args()
    if options.repeats < 1 or options.duration <= 0 or (options.threads or 1) < 1:
        parser.error("--repeats, --seconds and --threads must be positive")
    threads = options.threads or os.cpu_count() or 1
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    audio, source = music(options.duration)
    facts = conditions(source, options)
    codecs = [
        bandtok_codec(audio, options.model, torch.get_num_threads()),
        mimi_codec(audio),
        encodec_codec(audio),
    ]
    rows = run(codecs, audio.seconds, options.repeats)
    if options.write:
        atomic.write_text(options.write, page(rows, facts))
    if options.json:
        print(json.dumps({"conditions": facts, "systems": [asdict(row) for row in rows]}, indent=2))
    else:
        print(table(rows))
        print(", ".join(f"{name} {value}" for name, value in facts.items()), file=sys.stderr)


if __name__ == "__main__":
    main()
