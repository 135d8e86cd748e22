"""Reports on disk: JSON for machines, Markdown and one self-contained HTML page for people.

    ReconstructionReport, TokenReport, GenerationReport -> report.json, .md, .html, pictures

Each file appears whole or not at all. Measures nothing itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bandtok.api.tokenizer import Tokenizer
from bandtok.evaluation.clip_sets import SetMeasures
from bandtok.evaluation.comparison_sets import MeasuredSet
from bandtok.evaluation.copies import Copies
from bandtok.evaluation.corpus import ModelSummary, ReconstructionReport
from bandtok.evaluation.excerpts import load_excerpt
from bandtok.evaluation.generation import GenerationReport
from bandtok.evaluation.html_page import Section, Table, document, paragraph, plot, table
from bandtok.evaluation.measured_clips import ClipRow
from bandtok.evaluation.plots import (
    plot_areas,
    plot_profiles,
    plot_reconstruction,
    plot_spread,
    plot_tags,
    plot_usage,
)
from bandtok.evaluation.reconstruction_tables import (
    clip_rows,
    estimate_cell,
    mean_tables,
    reconstruction_notes,
    system_rows,
)
from bandtok.evaluation.systems import named_systems, prepare, reconstruct
from bandtok.evaluation.tag_measures import TextControl
from bandtok.evaluation.token_tables import (
    dependence_notes,
    dependence_table,
    language_model_notes,
    language_model_table,
    spread_notes,
    spread_table,
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
    """Write report.json, report.md, report.html, usage.png and pictures of two clips.

    Args:
        report: what was measured.
        folder: where to write; made if need be.
        tokenizer: the one that was measured, to draw the median and the worst clip.
        corpus: folder that the tracks' paths are relative to.

    Returns:
        The files written.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    pictures = _draw_clips(report, target, tokenizer, corpus)
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
        *_left_out_lines(report.left_out),
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
    if report.spread:
        plot_spread(target / "spread.png", report.spread, title="Damage of wrong tokens")
        pictures["spread.png"] = "Damage of wrong tokens, by row and by time"
        tables.append(("Spread of errors", spread_table(report.spread)))
        notes += spread_notes(report.spread)
    notes += _left_out_lines(report.left_out)
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
    tables.append(("Sound", _sound_rows(report)))
    if report.control:
        areas = {name: (a.area, a.low, a.high) for name, a in report.control.tags.items()}
        plot_areas(target / "control.png", areas, title="Do clips follow their prompts?")
        pictures["control.png"] = "Area under the ROC curve by tag; .5 is chance"
        for name, one in (("MTT", report.control), ("MSD", report.control_msd)):
            tables += [(f"Text control, {name} tagger", control_rows(one))] if one else []
    if report.copies:
        tables.append(("Longest runs shared with the training data", _copy_rows(report.copies)))
    tables.append(("Clips", _generated_rows(report)))
    return write_report(
        target,
        "Generation report",
        _generation_notes(report),
        tables,
        pictures,
        asdict(report),
    )


def generation_rows(report: GenerationReport) -> Table:
    """Return clips and baselines compared with the reference; the first row is the heading."""
    return _set_rows(report.sets, report.settings.embedder)


def coded_rows(report: GenerationReport) -> Table:
    """Return the same of the clips compared with the reference through the tokenizer."""
    return _set_rows(report.coded, report.settings.embedder)


def _set_rows(sets: Sequence[MeasuredSet], embedder: str) -> Table:
    rows = [
        [
            *("set", "clips", f"Frechet, {embedder}", "tag KL", *_COVERAGE),
            *("diversity", "silent", "frozen", "what it is"),
        ]
    ]
    for item in sets:
        found = item.measures
        shares = (
            [f"{getattr(found.coverage, name):.2f}" for name in _COVERAGE]
            if found.coverage
            else ["–"] * len(_COVERAGE)
        )
        rows.append(
            [
                item.name,
                str(found.clips),
                _frechet_cell(found),
                f"{found.tag_divergence:.3f}",
                *shares,
                "–" if found.diversity is None else f"{found.diversity:.2f}",
                str(found.silent),
                str(found.frozen),
                item.description,
            ]
        )
    return rows


def control_rows(control: TextControl) -> Table:
    """Return the areas by tag, the mean first; the first row is the heading."""
    rows = [["tag", "area", "95 % interval", "clips requesting it"]]
    for name, area in (("mean", control.mean), *control.tags.items()):
        interval = f"[{area.low:.3f}, {area.high:.3f}]"
        rows.append([name, f"{area.area:.3f}", interval, str(area.requested)])
    return rows


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


_COVERAGE = ("precision", "recall", "density", "coverage")


def _frechet_cell(found: SetMeasures) -> str:
    if found.frechet is None or found.frechet_error is None:
        return "– (too few windows)"
    error = 1.96 * found.frechet_error
    return f"{found.frechet.distance:.3f} ± {error:.3f}, n={found.frechet.count}"


def _sound_rows(report: GenerationReport) -> Table:
    head = [
        "set",
        "level, dBFS",
        "onsets per second",
        "movement",
        "novelty",
        "continuity",
        "attack",
    ]
    rows = [head]
    named = [("reference", report.reference)]
    named += [(item.name, item.measures) for item in report.sets]
    for name, found in named:
        values = (
            *(found.level_dbfs, found.onsets_per_second, found.movement),
            *(found.novelty, found.continuity, found.attack),
        )
        rows.append([name, *map(estimate_cell, values)])
    return rows


def _copy_rows(copies: Copies) -> Table:
    rows = [["clip", "tokens", "seconds", "at, s", "training track", "at, s"]]
    for run in sorted(copies.clips, key=lambda run: -run.tokens):
        places = (run.seconds, run.clip_seconds, run.source_seconds)
        length, mine, theirs = (f"{value:.2f}" for value in places)
        rows.append([run.clip, str(run.tokens), length, mine, run.source or "–", theirs])
    return rows


def _generated_rows(report: GenerationReport) -> Table:
    rows = [["clip", "prompt", "tags", "level, dBFS", "movement", "novelty", "remarks"]]
    for clip in report.clips:
        remarks = [name for name in ("silent", "frozen") if getattr(clip, name)]
        numbers = (f"{clip.level_dbfs:.1f}", f"{clip.movement:.3f}", f"{clip.novelty:.3f}")
        tags = ", ".join(clip.top_tags)
        rows.append([clip.name, clip.prompt, tags, *numbers, ", ".join(remarks)])
    return rows


def _generation_notes(report: GenerationReport) -> list[str]:
    found = report.sets[0].measures
    caveat = found.frechet.caveat if found.frechet else ""
    notes = [
        f"{found.clips} clips against {report.reference.clips} of the reference, all cut to "
        f"{report.seconds:g} s. Frechet: distance of embeddings ({report.settings.embedder}) at "
        "equal numbers n of windows on either side, ± 1.96 standard errors from resampled clips; "
        "lower is better. Tag KL: divergence of the mean tags (musicnn MTT) from the reference's, "
        "nats. Precision, recall, density and coverage: by five nearest neighbors of the clips' "
        "mean embeddings. Diversity: mean distance of two clips over the reference's; 1 is right. "
        f"{f'{caveat.capitalize()}.' if caveat else ''}".rstrip(),
        "Movement: mean change of the ln-mel from frame to frame. Novelty: mean difference of two "
        "half seconds. Continuity: how much nearer neighboring moments are than any two; 0 if "
        "their order is random. Attack: above 0 if sounds start faster than they end. Silent, "
        "frozen: clips of which more than half is inaudible or unchanging.",
    ]
    if report.settings.baselines:
        notes.append(
            "Noise and token baselines are made of the reference's own clips, which makes them "
            "nearer to it than other music can be: compare them with the row of real music. "
            "Embeddings of a tagger hardly depend on the order of time; see continuity and attack."
        )
    if report.control:
        notes.append(
            "Text control: area under the ROC curve, clips whose prompt requests a tag against all "
            "others; 0.5 is chance. Intervals are over prompts. MSD tags captioned training music."
        )
    if report.clap:
        notes.append(f"CLAP score of clips and prompts: {estimate_cell(report.clap)}.")
    if report.copies:
        notes += _copy_notes(report.copies)
    return [*notes, *_left_out_lines(report.left_out)]


def _copy_notes(copies: Copies) -> list[str]:
    longest = max(run.tokens for run in copies.clips)
    text = (
        f"Longest exact run of tokens shared with {copies.training_tokens:,} training tokens: "
        f"{longest} in {len(copies.clips)} clips (0: shorter than is looked for)"
    )
    if copies.reference:
        text += f"; {max(copies.reference)} in {len(copies.reference)} reference clips"
    return [f"{text}. Silence is shared by all and counts."]


def _row_name(model: ModelSummary) -> str:
    return "band" if model.rows_are_bands else "layer"


def _model_lines(model: ModelSummary) -> list[str]:
    return [
        f"Model {model.name or 'bundled'}, fingerprint {model.fingerprint}: {model.num_bands} "
        f"{_row_name(model)}s, codebook of {model.codebook_size:,}, "
        f"{model.bit_rate_bps / 1000:.2f} kbit/s, "
        f"{model.sample_rate:,} Hz mono."
    ]


def _left_out_lines(left_out: Sequence[str]) -> list[str]:
    return [f"Left out: {line}" for line in left_out]


def _draw_clips(
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
        plot_reconstruction(
            target / f"{name}.png",
            audio,
            estimate,
            clip.grid,
            title=caption,
            config=tokenizer.config.mel,
            rows_are_bands=tokenizer.config.rows_are_bands,
        )
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
    text += "".join(f"![{caption}]({name})\n\n" for name, caption in pictures.items())
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
    sampled = [
        plot((target / name).read_bytes(), "image/png", caption, caption)
        for name, caption in pictures.items()
    ]
    if sampled:
        sections.append(Section(title="Pictures", parts=sampled))
    return document(title, [paragraph(note) for note in notes], sections)
