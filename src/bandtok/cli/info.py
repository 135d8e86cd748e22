"""`bandtok info` and `bandtok verify`: what is in a token file, and is it whole."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandtok.cli import options
from bandtok.cli.batch import refuse_existing
from bandtok.cli.console import format_time, print_json
from bandtok.cli.group import fail, one_line
from bandtok.cli.suffixes import AUDIO_INPUTS
from bandtok.errors import BandTokError, DataError, printable
from bandtok.provenance import KEY

if TYPE_CHECKING:
    from bandtok.evaluation.usage import CodebookUsage
    from bandtok.tokens.token_file import TokenFile

InfoPath = Annotated[
    Path, typer.Argument(metavar="FILE", help="Token or audio file.", show_default=False)
]
TokenPaths = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="Token files.", show_default=False)
]
SalvageTo = Annotated[
    Path | None,
    typer.Option(
        "--salvage",
        metavar="OUT",
        help="Write the whole blocks before the first damage to this token file.",
    ),
]


def info(file: InfoPath, quiet: options.Quiet = False, json: options.Json = False) -> None:
    """Show the header, model, length, bit rate and provenance of a file."""
    from bandtok.evaluation.usage import grid_usage
    from bandtok.tokens.token_file import TokenFile

    if file.suffix.lower() in AUDIO_INPUTS:
        _audio_info(file, json)
        return
    with TokenFile(file) as tokens:
        header = tokens.header
        sound = tokens.read()[: header.sound_bands]
        values = _describe(tokens, grid_usage(sound, header.codebook_size))
    if json:
        print_json({"file": str(file), **values})
    else:
        _print_table(values)


def _audio_info(file: Path, json: bool) -> None:
    from bandtok.signal.audio import open_audio

    with open_audio(file) as reader:
        found, marked = reader.info, reader.provenance
    values = {**dataclasses.asdict(found), "seconds": found.seconds, "provenance": marked}
    if json:
        print_json({"file": str(file), **values})
        return
    _print_rows(
        {
            "length": f"{format_time(found.seconds)} ({found.seconds:.3f} s)",
            "sample rate": f"{found.sample_rate} Hz",
            "channels": str(found.channels),
            **(_provenance_rows(marked) or {"provenance": "not marked as synthetic"}),
        }
    )


def _provenance_rows(marked: object, indent: str = "") -> dict[str, str]:
    """Return the record of synthetic music, level by level."""
    rows: dict[str, str] = {}
    for key, value in _pairs(marked):
        name = f"{indent}provenance.{key}"
        is_record = isinstance(value, dict) and key == "source"
        rows |= _provenance_rows(value, f"{indent}source ") if is_record else {name: str(value)}
    return rows


def verify(
    files: TokenPaths,
    salvage: SalvageTo = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Check every byte of token files; exit code 1 if one is damaged."""
    if salvage is not None:
        _salvage(files, salvage, overwrite, quiet, json)
        return
    results = [_verify_file(file, quiet or json) for file in files]
    if json:
        print_json({"files": results, "damaged": sum(not result["whole"] for result in results)})
    if not all(result["whole"] for result in results):
        raise typer.Exit(1)


def _verify_file(file: Path, silent: bool) -> dict[str, object]:
    from bandtok.tokens.token_file import TokenFile

    try:
        with TokenFile(file) as tokens:
            tokens.read()
            found = f"{tokens.num_frames} frames, {tokens.num_blocks} blocks"
    except (BandTokError, OSError) as error:
        fail(f"{file}: {one_line(error)}")
        return {
            "file": str(file),
            "whole": False,
            "problem": type(error).__name__,
            "error": one_line(error),
        }
    if not silent:
        typer.echo(printable(f"{file}: whole, {found}"))
    return {"file": str(file), "whole": True}


def _salvage(files: list[Path], target: Path, overwrite: bool, quiet: bool, json: bool) -> None:
    from bandtok.tokens.token_file import salvage_token_file, write_token_file

    if len(files) != 1:
        raise typer.BadParameter("--salvage takes exactly one token file")
    refuse_existing(target, overwrite)
    if target.exists() and target.samefile(files[0]):
        raise DataError(f"{target} is the damaged file itself; choose another name for the copy")
    kept = salvage_token_file(files[0])
    if not kept.grid.num_frames:
        raise DataError(f"no block before the damage is whole, nothing is written: {kept.damage}")
    write_token_file(target, kept.grid)
    if json:
        print_json(
            {
                "file": str(files[0]),
                "target": str(target),
                "frames": kept.grid.num_frames,
                "seconds": kept.grid.seconds,
                "damage": kept.damage,
            }
        )
    elif not quiet:
        line = f"{target}: {format_time(kept.grid.seconds)} kept; damage: {kept.damage}"
        typer.echo(printable(line))


def _describe(tokens: TokenFile, usage: CodebookUsage) -> dict[str, object]:
    header = tokens.header
    frame_rate = header.sample_rate / header.samples_per_frame
    samples = header.num_samples
    if samples is None:
        samples = tokens.num_frames * header.samples_per_frame
    return {
        "version": ".".join(map(str, header.version)),
        "model_id": header.model_id,
        "fingerprint": header.fingerprint,
        "tool_version": header.tool_version,
        "encode_mode": header.encode_mode,
        "seconds": samples / header.sample_rate,
        "num_samples": header.num_samples,
        "sample_rate": header.sample_rate,
        "channels": header.channels,
        "samples_per_frame": header.samples_per_frame,
        "frame_rate": frame_rate,
        "bands": header.sound_bands,
        "pan_rows": header.bands - header.sound_bands,
        "frames": tokens.num_frames,
        "codebook_size": header.codebook_size,
        "bits_per_code": header.bits_per_code,
        "bit_rate_bps": header.bits_per_code * header.bands * frame_rate,
        "size_bytes": tokens.size_bytes,
        "blocks": tokens.num_blocks,
        "payload_sha256": tokens.payload_sha256,
        "usage": {
            **dataclasses.asdict(usage.overall),
            "used_codes_by_band": [band.used_codes for band in usage.bands],
        },
        "extra": header.extra,
    }


def _print_table(values: dict[str, object]) -> None:
    _print_rows(_for_people(values))


def _print_rows(rows: dict[str, str]) -> None:
    width = max(len(printable(name)) for name in rows)
    for name, value in rows.items():
        typer.echo(f" {printable(name):<{width}}  {printable(value)}")


def _for_people(values: dict[str, object]) -> dict[str, str]:
    usage = values["usage"]
    assert isinstance(usage, dict)
    seconds = values["seconds"]
    assert isinstance(seconds, float)
    return {
        "version": f"{values['version']}, written by {values['tool_version'] or 'unknown'}",
        "model": f"{values['model_id'] or 'unnamed'} {values['fingerprint']}".strip(),
        "encoded": " ".join(f"{key} {value}" for key, value in _pairs(values["encode_mode"]))
        or "unknown",
        "length": f"{format_time(seconds)} ({seconds:.3f} s) at {values['sample_rate']} Hz, "
        f"{_channels(values)}",
        "grid": f"{values['bands']} bands{_pan_rows(values)} x {values['frames']} frames, "
        f"{values['frame_rate']:.4f} frames/s",
        "codebook": f"{values['codebook_size']} entries, {values['bits_per_code']} bits per token",
        "bit rate": f"{values['bit_rate_bps']:.1f} bit/s",
        "usage": f"{usage['used_codes']} different tokens ({usage['used_share']:.1%}), "
        f"entropy {usage['entropy_bits']:.2f} bits",
        "file": f"{values['size_bytes']} bytes, {values['blocks']} blocks",
        **{f"extra.{key}": str(value) for key, value in _pairs(values["extra"]) if key != KEY},
        **_provenance_rows(dict(_pairs(values["extra"])).get(KEY)),
    }


def _channels(values: dict[str, object]) -> str:
    kind = "channels, pan rows" if values["pan_rows"] else "channel(s)"
    return f"{values['channels']} {kind}"


def _pan_rows(values: dict[str, object]) -> str:
    return f" + {values['pan_rows']} pan rows" if values["pan_rows"] else ""


def _pairs(value: object) -> list[tuple[str, object]]:
    return list(value.items()) if isinstance(value, dict) else []
