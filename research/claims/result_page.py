"""Results of experiments as parts of a page: tables, plots and clips.

RESULTS/NAME.json -> PageContent for `bandtok.pages.page.write_page`

python -m research.claims.result_page docs/lab/results -o report.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from math import floor, log10
from pathlib import Path
from typing import Annotated, TypeGuard
from xml.etree import ElementTree

import typer
from PIL import Image, UnidentifiedImageError

from bandtok.cli import options
from bandtok.cli.batch import refuse_existing
from bandtok.cli.group import OneLineErrors
from bandtok.errors import BandTokError, DataError
from bandtok.evaluation.html_page import Html, Table, code, heading, paragraph, plot, table
from bandtok.pages.clips import ClipGroup, PageClip, load_beginning
from bandtok.pages.page import Chapter, PageContent, write_page
from bandtok.pages.sources import load_grid
from research.claims.records import Cell, ExperimentRecord, RecordClip, RecordTable, load_records

_MAX_PICTURE_BYTES = 8 << 20
_OVERVIEW_SIGNS = 320  # of an answer in the overview
_SVG, _PNG = "image/svg+xml", "image/png"


def results_content(
    title: str, records: Sequence[ExperimentRecord], clip_seconds: float = 10.0
) -> PageContent:
    """Return the content of a page of results.

    Args:
        title: of the page.
        records: results, in order.
        clip_seconds: clips are cut to this length.

    Raises:
        DataError: if a plot is missing or no picture.
    """
    chapters = [
        Chapter(
            title=record.title,
            parts=_record_parts(record),
            groups=_record_groups(record, clip_seconds),
        )
        for record in records
    ]
    if len(records) > 1:
        overview = table(_overview(records), "All experiments")
        chapters.insert(0, Chapter(title="At a glance", parts=[overview]))
    count = f"{len(records)} experiment{'s' * (len(records) > 1)}"
    return PageContent(title=title, note=count, chapters=chapters)


def _outcome(answer: str) -> str:
    """Return what an answer decides about the claim it begins with."""
    if "The claim holds here" in answer:
        return "holds"
    if "The claim does not hold here" in answer:
        return "does not hold"
    return "open" if "Not decided here" in answer else "–"


def _overview(records: Sequence[ExperimentRecord]) -> Table:
    rows = [["experiment", "claim", "answer", "time, with shared runs", "seeds"]]
    for record in records:
        took = "–" if record.minutes is None else _duration(record.minutes)
        seeds = ", ".join(map(str, record.seeds)) or "–"
        answer = _beginning(record.answer) or "–"
        rows.append([record.title, _outcome(record.answer), answer, took, seeds])
    return rows


def _record_parts(record: ExperimentRecord) -> list[Html]:
    parts = [paragraph(text) for text in _paragraphs(record.question)]
    parts += [paragraph(text, "answer") for text in _paragraphs(record.answer)]
    parts.append(paragraph(_summary(record), "soft"))
    if record.command:
        parts.append(code(record.command))
    for number, found in enumerate(record.tables, 1):
        title = found.title or f"Table {number}"
        parts += [heading(title, 3), table(table_rows(found), title)]
    for path in record.plots:
        content, kind = load_picture(path)
        name = path.stem.replace("-", " ").replace("_", " ")
        parts.append(plot(content, kind, f"Plot: {name}, of {record.title}", name))
    if not (record.answer or record.tables or record.plots or record.clips):
        parts.append(paragraph("No results are reported.", "note"))
    return parts


def _summary(record: ExperimentRecord) -> str:
    parts = [record.name]
    if record.scale:
        parts.append(f"scale {record.scale}")
    if record.seeds:
        seeds = ", ".join(map(str, record.seeds))
        parts.append(f"seed{'s' * (len(record.seeds) > 1)} {seeds}")
    if record.minutes is not None:
        parts.append(f"took {_duration(record.minutes)}, with shared runs")
    return " · ".join(parts)


def _paragraphs(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]


def _beginning(text: str) -> str:
    """Return the first sentences that fit into an overview, with a sign if there are more."""
    shown = ""
    for sentence in re.split(r"(?<=[.!?])\s+", text.strip()):
        if shown and len(shown) + len(sentence) > _OVERVIEW_SIGNS:
            return f"{shown} …"
        shown = f"{shown} {sentence}".strip()
    return shown


def _duration(minutes: float) -> str:
    if minutes < 1:
        return f"{minutes * 60:.0f} s"
    whole = round(minutes)
    return f"{whole} min" if whole < 120 else f"{whole // 60} h {whole % 60:02d} min"


def table_rows(found: RecordTable) -> Table:
    """Return a table as text: numbers of one column with one number of decimals."""
    columns = [_column([row[n] for row in found.rows]) for n in range(len(found.columns))]
    return [list(found.columns), *(list(row) for row in zip(*columns, strict=True))]


def _column(cells: Sequence[Cell]) -> list[str]:
    numbers = [cell for cell in cells if _is_number(cell)]
    decimals = _decimals(numbers) if any(isinstance(cell, float) for cell in cells) else 0
    return [_cell(cell, decimals) for cell in cells]


def _cell(cell: Cell, decimals: int) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return cell if isinstance(cell, str) else f"{cell:,.{decimals}f}"


def _decimals(numbers: Sequence[float]) -> int:
    """Return how many decimals show four digits of the largest number and two of the smallest.

    Fewer if they show all that there is.
    """
    sizes = [floor(log10(abs(number))) for number in numbers if number]
    enough = min(max(3 - max(sizes), 1 - min(sizes), 0), 8) if sizes else 0
    return next((n for n in range(enough) if all(round(v, n) == v for v in numbers)), enough)


def _is_number(cell: Cell) -> TypeGuard[int | float]:
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def _record_groups(record: ExperimentRecord, seconds: float) -> list[ClipGroup]:
    """Return the record's clips by group, in the order in which groups are first named."""
    members: dict[str, list[RecordClip]] = {}
    for number, clip in enumerate(record.clips, 1):
        members.setdefault(clip.group or clip.title or f"Clip {number}", []).append(clip)
    groups = []
    for title, clips in members.items():
        prompts = {clip.prompt for clip in clips}
        prompt = prompts.pop() if len(prompts) == 1 else ""
        sampled = any(clip.tokens for clip in clips)  # then pictures would show it all once more
        kept = [replace(clip, picture=None) for clip in clips] if sampled else clips
        shown = [_record_clip(clip, title, prompt, seconds) for clip in kept]
        groups.append(
            ClipGroup(
                title=title,
                clips=shown,
                note=f"Prompt: “{prompt}”" if prompt not in ("", title) else "",
            )
        )
    return groups


def _record_clip(clip: RecordClip, group: str, prompt: str, seconds: float) -> PageClip:
    """Load one clip; what cannot be loaded is listed in `missing`."""
    label = clip.system or clip.title or "clip"
    said = [clip.title if not clip.system and clip.title not in (label, group) else ""]
    said.append(f"prompt: “{clip.prompt}”" if clip.prompt and clip.prompt != prompt else "")
    shown, troubles = PageClip(label=label), []
    try:
        if clip.audio:
            _check_there(clip.audio)
            audio, cut = load_beginning(clip.audio, seconds)
            said.append(cut)
            shown = replace(shown, audio=audio)
    except (BandTokError, OSError) as error:
        troubles.append(f"Not playable: {error}")
    try:
        if clip.tokens:
            _check_there(clip.tokens)
            limit = shown.audio.seconds if shown.audio else seconds
            shown = replace(shown, grid=load_grid(clip.tokens, limit))
        elif clip.picture:
            _check_there(clip.picture)
            shown = replace(shown, picture=load_picture(clip.picture))
    except (BandTokError, OSError) as error:
        troubles.append(f"Picture cannot be shown: {error}")
    note = ", ".join(text for text in said if text)
    return replace(shown, note=note, missing=" ".join(troubles))


def _check_there(path: Path) -> None:
    """Raise DataError that names a missing file without the folders of this machine."""
    if not path.is_file():
        raise DataError(f"{path.parent.name}/{path.name} is missing")


def load_picture(path: Path) -> tuple[bytes, str]:
    """Return the bytes of a PNG or SVG file and their media type.

    Raises:
        DataError: if it is missing, larger than 8 MiB, or is neither.
    """
    try:
        if path.stat().st_size > _MAX_PICTURE_BYTES:
            raise DataError(f"{path} is larger than {_MAX_PICTURE_BYTES} bytes; expected a picture")
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read the picture {path}: {error.strerror}") from None
    kind = _SVG if path.suffix.lower() == ".svg" else _PNG
    if not (_is_svg(content) if kind == _SVG else _is_png(path)):
        raise DataError(f"{path} is damaged or no picture; expected {kind}")
    return content, kind


def _is_svg(content: bytes) -> bool:
    try:
        return ElementTree.fromstring(content).tag.rpartition("}")[2] == "svg"
    except ElementTree.ParseError:
        return False


def _is_png(path: Path) -> bool:
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            picture.verify()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False
    return True


app = typer.Typer(cls=OneLineErrors, pretty_exceptions_enable=False)


@app.command()
def main(
    results: Annotated[
        Path, typer.Argument(metavar="RESULTS", help="Folder with NAME.json files.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="PAGE.html", help="The page.")],
    title: Annotated[
        str, typer.Option("--title", help="Heading of the page.")
    ] = "BandTok: results",
    overwrite: options.Overwrite = False,
) -> None:
    """Write results of experiments as one self-contained page."""
    refuse_existing(output, overwrite)
    written = write_page(results_content(title, load_records(results)), output)
    for line in written.missing:
        typer.echo(f"missing: {line}", err=True)
    typer.echo(f"{output}: {written.size_bytes / 1e6:.1f} MB, {written.clips} sounds")


if __name__ == "__main__":
    app(prog_name="python -m research.claims.result_page")
