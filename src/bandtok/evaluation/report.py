"""Reports on disk: JSON for machines, Markdown and one self-contained HTML page for people.

    ReconstructionReport, TokenReport, GenerationReport -> report.json, .md, .html, pictures

Each file appears whole or not at all. Measures nothing itself.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bandtok.api.tokenizer import Tokenizer
from bandtok.evaluation.corpus import ModelSummary, ReconstructionReport
from bandtok.evaluation.excerpts import load_excerpt
from bandtok.evaluation.generation import GenerationReport
from bandtok.evaluation.generation_tables import (
    coded_rows,
    control_rows,
    copy_rows,
    drift_rows,
    generated_rows,
    generation_notes,
    generation_rows,
    left_out_lines,
    sound_rows,
)
from bandtok.evaluation.html_page import Section, Table, document, paragraph, player, plot, table
from bandtok.evaluation.measured_clips import ClipRow
from bandtok.evaluation.plots import (
    plot_areas,
    plot_profiles,
    plot_reconstruction,
    plot_tags,
    plot_usage,
)
from bandtok.evaluation.reconstruction_tables import (
    clip_rows,
    mean_tables,
    reconstruction_notes,
    system_rows,
)
from bandtok.evaluation.systems import named_systems, prepare, reconstruct
from bandtok.evaluation.token_tables import (
    dependence_notes,
    dependence_table,
    language_model_notes,
    language_model_table,
)
from bandtok.evaluation.tokens import TokenReport
from bandtok.evaluation.usage import CodebookUsage
from bandtok.tokens import atomic


def write_reconstruction_report(
    report: ReconstructionReport,
    folder: str | os.PathLike[str],
    tokenizer: Tokenizer,
    corpus: Path,
) -> list[Path]:
    """Write report.json, report.md, report.html, usage.png, pictures and sounds of two clips.

    Args:
        report: what was measured.
        folder: where to write; made if need be.
        tokenizer: the one that was measured, for the median and the worst clip.
        corpus: folder that the tracks' paths are relative to.

    Returns:
        The files written.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    pictures = _write_clips(report, target, tokenizer, corpus)
    rows = _row_name(report.model)
    plot_usage(
        target / "usage.png",
        report.usage,
        title="Codebook usage",
        rows_are_bands=report.model.rows_are_bands,
    )
    pictures["usage.png"] = f"Codebook usage by {rows}"
    tables = [
        *mean_tables(report),
        ("Systems", system_rows(report)),
        ("Codebook usage", usage_table(report.usage, rows)),
        ("Clips", clip_rows(report)),
    ]
    notes = [
        *_model_lines(report.model),
        *reconstruction_notes(report),
        *left_out_lines(report.left_out),
    ]
    return write_report(target, "Reconstruction report", notes, tables, pictures, asdict(report))


def write_token_report(report: TokenReport, folder: str | os.PathLike[str]) -> list[Path]:
    """Write report.json, report.md, report.html and pictures; return the files."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    rows = _row_name(report.model)
    plot_usage(
        target / "usage.png",
        report.usage,
        title="Codebook usage",
        rows_are_bands=report.model.rows_are_bands,
    )
    pictures = {"usage.png": f"Codebook usage by {rows}"}
    tables = [("Codebook usage", usage_table(report.usage, rows))]
    notes = [
        *_model_lines(report.model),
        f"{report.num_tracks} whole tracks, {report.seconds / 60:.1f} minutes.",
    ]
    if report.dependence or report.language_model:
        plot_profiles(
            target / "profiles.png",
            report.usage,
            report.dependence,
            report.language_model,
            title="Tokens by row",
        )
        pictures["profiles.png"] = "Mutual information, entropy and predictability by row"
    if report.dependence:
        tables.append(("Mutual information", dependence_table(report.dependence)))
        notes += dependence_notes(report.dependence)
    if report.language_model:
        tables.append(("Language model", language_model_table(report)))
        notes += language_model_notes(report, report.language_model)
    notes += left_out_lines(report.left_out)
    return write_report(target, "Token report", notes, tables, pictures, asdict(report))


def write_generation_report(report: GenerationReport, folder: str | os.PathLike[str]) -> list[Path]:
    """Write report.json, report.md, report.html and pictures; return the files."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    plot_tags(target / "tags.png", report.tags, title="Tags, mean over clips")
    pictures = {"tags.png": "Tags: clips and reference"}
    tables = [("Clips and real music", generation_rows(report))]
    if report.coded:
        tables.append(("Both sides through the tokenizer", coded_rows(report)))
    tables.append(("Sound", sound_rows(report)))
    if drift := drift_rows(report):
        tables.append(("Long clips: the end compared with the beginning", drift))
    if report.control:
        areas = {name: (a.area, a.low, a.high) for name, a in report.control.tags.items()}
        plot_areas(target / "control.png", areas, title="Do clips follow their prompts?")
        pictures["control.png"] = "Area under the ROC curve by tag; .5 is chance"
        for name, one in (("MTT", report.control), ("MSD", report.control_msd)):
            tables += [(f"Text control, {name} tagger", control_rows(one))] if one else []
    if report.copies:
        tables.append(("Longest runs shared with the training data", copy_rows(report.copies)))
    tables.append(("Clips", generated_rows(report)))
    return write_report(
        target,
        "Generation report",
        generation_notes(report),
        tables,
        pictures,
        asdict(report),
    )


def usage_table(usage: CodebookUsage, row_name: str = "band") -> Table:
    """Return usage of all rows of the grid and of each; the first row is the heading."""
    rows = [[row_name, "tokens", "codes used", "share of codebook", "entropy, bits", "top 1 %"]]
    named = [("all", usage.overall), *((str(n), band) for n, band in enumerate(usage.bands))]
    for name, band in named:
        rows.append(
            [
                name,
                f"{band.num_tokens:,}",
                f"{band.used_codes:,}",
                f"{100 * band.used_share:.1f} %",
                f"{band.entropy_bits:.2f} (corrected {band.corrected_entropy_bits:.2f})",
                f"{100 * band.top_share:.1f} %",
            ]
        )
    return rows


def markdown_table(rows: Table) -> str:
    """Write rows as a Markdown table; the first row is the heading."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" * len(rows[0]))
    return "\n".join(lines) + "\n"


def _row_name(model: ModelSummary) -> str:
    return "band" if model.rows_are_bands else "layer"


def _model_lines(model: ModelSummary) -> list[str]:
    return [
        f"Model {model.name or 'bundled'}, fingerprint {model.fingerprint}: {model.num_bands} "
        f"{_row_name(model)}s, codebook of {model.codebook_size:,}, "
        f"{model.bit_rate_bps / 1000:.2f} kbit/s, "
        f"{model.sample_rate:,} Hz mono."
    ]


def _write_clips(
    report: ReconstructionReport, target: Path, tokenizer: Tokenizer, corpus: Path
) -> dict[str, str]:
    sampled = [system for system in named_systems(report.settings.systems) if system.has_waveform]
    if not sampled:
        return {}
    system = sampled[0]
    by_error = sorted(report.rows, key=lambda row: row.measures[system.name].mel)
    chosen = {"median": by_error[(len(by_error) - 1) // 2], "worst": by_error[-1]}
    pictures = {}
    for name, row in chosen.items():
        caption = f"{system.name}, {name} clip: {_place(row)}"
        audio = load_excerpt(row.excerpt, corpus, tokenizer.sample_rate)
        clip = prepare(audio, tokenizer)
        estimate = reconstruct(system, clip, tokenizer, report.settings.num_iterations)
        audio.save(target / f"{name}-original.flac")
        estimate.save(target / f"{name}-reconstruction.flac")
        plot_reconstruction(
            target / f"{name}.png",
            audio,
            estimate,
            clip.grid,
            title=caption,
            config=tokenizer.config.mel,
            rows_are_bands=tokenizer.config.rows_are_bands,
        )
        pictures[f"{name}-original.flac"] = f"{name} clip, original: {_place(row)}"
        pictures[f"{name}-reconstruction.flac"] = f"{name} clip, {system.name}"
        pictures[f"{name}.png"] = caption
    return pictures


def _place(row: ClipRow) -> str:
    return f"{row.excerpt.track.path} from {row.excerpt.start_seconds:.1f} s"


def write_report(
    target: Path,
    title: str,
    notes: list[str],
    tables: list[tuple[str, Table]],
    pictures: dict[str, str],
    document: dict[str, Any],
) -> list[Path]:
    text = f"# {title}\n\n" + "".join(f"{note}\n\n" for note in notes)
    text += "".join(f"## {name}\n\n{markdown_table(rows)}\n" for name, rows in tables)
    for name, caption in pictures.items():
        text += f"{'!' * name.endswith('.png')}[{caption}]({name})\n\n"
    page = _html_page(target, title, notes, tables, pictures)
    atomic.write_text(target / "report.html", page)
    atomic.write_text(target / "report.md", text.rstrip("\n") + "\n")
    atomic.write_text(
        target / "report.json",
        json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
    )
    names = ["report.json", "report.md", "report.html", *pictures]
    return [target / name for name in names]


def _html_page(
    target: Path,
    title: str,
    notes: list[str],
    tables: list[tuple[str, Table]],
    pictures: dict[str, str],
) -> str:
    sections = [Section(title=name, parts=[table(rows, name)]) for name, rows in tables]
    parts = [
        plot((target / name).read_bytes(), "image/png", caption, caption)
        if name.endswith(".png")
        else player((target / name).read_bytes(), "audio/flac", caption)
        for name, caption in pictures.items()
    ]
    if parts:
        sections.append(Section(title="Pictures and sounds", parts=parts))
    return document(title, [paragraph(note) for note in notes], sections)
