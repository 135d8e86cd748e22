"""Options that several commands share, so that they have one name and one meaning."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bandtok.cli.console import echo
from bandtok.errors import printable


class Device(StrEnum):
    """Where networks run."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


class Backend(StrEnum):
    """What computes networks."""

    AUTO = "auto"
    ONNX = "onnx"
    TORCH = "torch"


class AudioFormat(StrEnum):
    """Formats that can be written."""

    WAV = "wav"
    FLAC = "flac"
    OGG = "ogg"
    MP3 = "mp3"


class SampleFormat(StrEnum):
    """What the samples of a file are."""

    INT = "int"
    FLOAT = "float"


AudioInputs = Annotated[
    list[Path],
    typer.Argument(metavar="IN...", help="Audio files, folders, or - (stdin).", show_default=False),
]
TokenInputs = Annotated[
    list[Path],
    typer.Argument(metavar="IN...", help="Token files, folders, or - (stdin).", show_default=False),
]
Output = Annotated[
    Path,
    typer.Option(
        "--output", "-o", metavar="OUT", help="File, - (stdout), or folder for several inputs."
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME_OR_PATH",
        help="Model or run folder, or a Hugging Face hub id; the bundled model if not given.",
    ),
]
Vocoder = Annotated[
    str | None,
    typer.Option("--vocoder", metavar="NAME_OR_PATH", help="Another vocoder than the model's own."),
]
ChosenDevice = Annotated[Device, typer.Option("--device", help="Where the networks run.")]
ChosenBackend = Annotated[
    Backend,
    typer.Option("--backend", help="What computes the networks; 'auto' is onnx on a CPU."),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="CPU threads; one per processor if not given."),
]
FolderFormat = Annotated[
    AudioFormat, typer.Option("--format", help="Format of the files in an output folder.")
]
Samples = Annotated[
    SampleFormat,
    typer.Option(
        "--sample-format",
        help="'float' writes .wav files of 32-bit floats, which hold samples above full scale.",
    ),
]
Stereo = Annotated[
    bool,
    typer.Option("--stereo", help="Keep two channels: half as many tokens again in most models."),
]
SaveTokens = Annotated[
    bool, typer.Option("--save-tokens", help="Also write the tokens, as OUT.btk.")
]
StorePrompt = Annotated[
    bool,
    typer.Option("--store-prompt", help="Keep the prompt in clear in the files, not its hash."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print no progress and no summary lines.")
]
Json = Annotated[bool, typer.Option("--json", help="Print results as one JSON document.")]


def check_sample_format(targets: Iterable[Path], sample_format: SampleFormat) -> None:
    """Raise typer.BadParameter if a target's suffix does not go with the sample format."""
    for target in targets:
        if sample_format is SampleFormat.FLOAT and target.suffix.lower() != ".wav":
            raise typer.BadParameter(
                f"--sample-format float writes .wav only; got {printable(target.name)}"
            )


def warn_of_limited(samples: int, target: Path, quiet: bool) -> None:
    """Say on stderr that samples above full scale were limited when `target` was written."""
    if samples and not quiet:
        line = f"{target}: {samples} samples above full scale were limited"
        note = "use --sample-format float (.wav) to keep them"
        echo(printable(f"bandtok: {line}; {note}"), err=True)
