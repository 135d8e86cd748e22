"""`bandtok report`: reconstructions, comparisons, generated clips -> one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import bandtok
from bandtok.cli import options
from bandtok.cli.batch import refuse_existing
from bandtok.cli.console import ProgressBars, print_json, progress_bars, silent_codecs
from bandtok.evaluation.prompts import named_prompts

if TYPE_CHECKING:
    from bandtok.pages.clips import ClipGroup
    from bandtok.pages.page import WrittenPage

_EXAMPLES = Path("examples/audio")


class PageAudio(StrEnum):
    """How sounds are stored in the page."""

    AUTO = "auto"
    FLAC = "flac"
    OPUS = "opus"


def report(
    out: Annotated[
        Path, typer.Option("--output", "-o", metavar="PAGE.html", help="The page.")
    ] = ...,  # type: ignore[assignment]
    title: Annotated[str, typer.Option("--title", help="Heading of the page.")] = ("BandTok"),
    reconstruct: Annotated[
        Path | None,
        typer.Option(
            "--reconstruct", metavar="AUDIO", help="Add reconstructions of this file or folder."
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="[LABEL=]NAME_OR_PATH",
            help="Tokenizer that reconstructs; repeat it to set several side by side.",
        ),
    ] = None,
    ab: Annotated[
        list[Path] | None,
        typer.Option(
            "--ab",
            metavar="AUDIO",
            help="Add a listening comparison of this file or folder; may be repeated.",
        ),
    ] = None,
    compare: Annotated[
        list[str] | None,
        typer.Option(
            "--compare",
            metavar="NAME=MODEL_FOLDER",
            help="Another model in the listening comparison; may be repeated. "
            "Without --ab it reads examples/audio.",
        ),
    ] = None,
    files: Annotated[
        int, typer.Option("--files", min=1, help="Reconstruct at most this many files.")
    ] = 6,
    seconds: Annotated[
        float,
        typer.Option(
            "--duration", metavar="SECONDS", min=0.2, max=60, help="Length of a reconstruction."
        ),
    ] = 6.0,
    generated: Annotated[
        list[str] | None,
        typer.Option(
            "--generated",
            metavar="[LABEL=]CLIPS",
            help="Add generated clips; repeat it to set several folders side by side.",
        ),
    ] = None,
    prompts: Annotated[
        str | None,
        typer.Option(
            "--prompts",
            metavar="FILE",
            help="Their prompts; 'bundled' or 'musiccaps': a fixed set.",
        ),
    ] = None,
    clips: Annotated[
        int, typer.Option("--max-clips", min=1, help="Show at most this many generated clips.")
    ] = 12,
    clip_seconds: Annotated[
        float,
        typer.Option(
            "--clip-duration",
            metavar="SECONDS",
            min=0.2,
            max=60,
            help="Cut generated clips to this.",
        ),
    ] = 10.0,
    audio: Annotated[
        PageAudio,
        typer.Option("--audio", help="How sounds are stored; auto: FLAC if the page stays small."),
    ] = PageAudio.AUTO,
    device: options.ChosenDevice = options.Device.AUTO,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Write one self-contained page: players with spectrograms and tokens."""
    ab = [_EXAMPLES] if compare and not ab else ab or []
    if reconstruct is None and not generated and not ab:
        raise typer.BadParameter("give --reconstruct, --ab or --generated")
    for needed, name, value in (
        (reconstruct or ab, "--model", model),
        (generated, "--prompts", prompts),
    ):
        if value and not needed:
            raise typer.BadParameter(f"{name} needs the clips it is for")
    if out.suffix.lower() not in (".html", ".htm"):
        raise typer.BadParameter(f"the page {out} must end in .html")
    refuse_existing(out, overwrite)
    from bandtok.pages import page as pages
    from bandtok.pages.clips import Coding

    with silent_codecs(), progress_bars(quiet) as bars:
        content = pages.PageContent(
            title=title,
            generated=_generated(generated or [], prompts, clips, clip_seconds),
            reconstructions=_reconstructed(reconstruct, model or [], device, files, seconds, bars),
            comparisons=_compared(ab, compare or [], model or [], device, files, seconds, bars),
        )
        out.parent.mkdir(parents=True, exist_ok=True)
        coding = None if audio is PageAudio.AUTO else Coding(audio.value)
        written = pages.write_page(content, out, coding)
    _print_result(written, pages.PAGE_LIMIT_BYTES, quiet=quiet, json=json)


def labelled(values: Sequence[str], alone: str) -> dict[str, str]:
    """Read LABEL=VALUE, or VALUE, which gets its last part as its label, or `alone` if it is.

    Raises:
        typer.BadParameter: if two have the same label, or a label or value is empty.
    """
    pairs: dict[str, str] = {}
    for value in values:
        label, equals, rest = value.partition("=")
        if not equals or Path(value).exists():
            label, rest = (alone if len(values) == 1 else Path(value).name or value), value
        if not label or not rest or label in pairs:
            raise typer.BadParameter(f"{value}: expected LABEL=VALUE with a label of its own")
        pairs[label] = rest
    return pairs


def _print_result(written: WrittenPage, limit: int, *, quiet: bool, json: bool) -> None:
    for line in written.missing:
        typer.echo(f"missing: {line}", err=True)
    if written.size_bytes > limit:
        typer.echo(
            f"the page has {written.size_bytes / 1e6:.1f} MB, more than {limit / 1e6:.0f}; "
            "fewer or shorter clips make it smaller",
            err=True,
        )
    if json:
        print_json(asdict(written) | {"path": str(written.path)})
    elif not quiet:
        typer.echo(
            f"{written.path}: {written.size_bytes / 1e6:.1f} MB, {written.clips} sounds "
            f"({written.coding})"
        )


def _reconstructed(
    source: Path | None,
    models: Sequence[str],
    device: options.Device,
    files: int,
    seconds: float,
    bars: ProgressBars,
) -> list[ClipGroup]:
    if source is None:
        return []
    from bandtok.pages import sources as made

    tokenizers = _loaded(models, "bandtok", device)
    with bars.task("reconstructing") as advance:
        return made.reconstruction_groups(
            source, tokenizers, files=files, seconds=seconds, progress=advance
        )


def _compared(
    sources: Sequence[Path],
    compare: Sequence[str],
    models: Sequence[str],
    device: options.Device,
    files: int,
    seconds: float,
    bars: ProgressBars,
) -> list[ClipGroup]:
    if not sources:
        return []
    for value in compare:
        if not value.partition("=")[2]:
            raise typer.BadParameter(f"got --compare {value}; expected NAME=MODEL_FOLDER")
    from bandtok.pages.comparison import comparison_groups

    compared = _loaded(compare, "", device) if compare else {}
    current = _loaded(models, "reconstruction", device)
    with bars.task("comparing") as advance:
        return comparison_groups(
            sources, compared, current, files=files, seconds=seconds, progress=advance
        )


def _loaded(
    values: Sequence[str], alone: str, device: options.Device
) -> dict[str, bandtok.Tokenizer]:
    """Load tokenizers by label; the bundled one, labeled `alone`, if none is named."""
    named = labelled(values, alone) if values else {alone: None}
    return {
        label: bandtok.Tokenizer.from_pretrained(name, device=device.value)
        for label, name in named.items()
    }


def _generated(
    folders: Sequence[str], prompts: str | None, clips: int, seconds: float
) -> list[ClipGroup]:
    if not folders:
        return []
    from bandtok.pages import sources as made

    named = {label: Path(path) for label, path in labelled(folders, "generated").items()}
    texts = None
    if prompts is not None:
        texts = [prompt.text for prompt in named_prompts(prompts)]
    return made.generated_groups(named, texts, clips=clips, seconds=seconds)
