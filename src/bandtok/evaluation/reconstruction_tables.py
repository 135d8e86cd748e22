"""Tables and notes of a reconstruction report, for console, Markdown and HTML alike.

    ReconstructionReport -> (title, rows), lines of text

A column that no system has a value for is left out, and so is a table without columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bandtok.evaluation.corpus import ReconstructionReport
from bandtok.evaluation.embedding_measures import EMBEDDER_MEASURES, ORIGINAL
from bandtok.evaluation.frechet import Frechet
from bandtok.evaluation.html_page import Table
from bandtok.evaluation.statistics import Estimate
from bandtok.evaluation.systems import named_systems

_NO_VALUE = "–"


@dataclass(frozen=True, kw_only=True)
class _Column:
    """A column of a table of means.

    Attributes:
        title: heading.
        measure: name in the report's means.
        digits: after the decimal point.
        largest: show the largest value of any clip instead of the mean with its interval.
    """

    title: str
    measure: str
    digits: int = 3
    largest: bool = False


def mean_tables(report: ReconstructionReport) -> list[tuple[str, Table]]:
    """Return the means with their intervals by system, as titled tables of a few columns each."""
    limit = f"{report.settings.below_hz / 1000:g} kHz"
    distances = [
        _Column(title="mel, all bins", measure="mel"),
        _Column(title=f"mel, below {limit}", measure="mel_below"),
        _Column(title="STFT", measure="stft"),
        _Column(title="ViSQOL", measure="visqol"),
        _Column(title="SI-SDR, dB", measure="si_sdr", digits=1),
    ]
    structure = [
        _Column(title="flicker", measure="flicker"),
        _Column(title="grain", measure="grain"),
        _Column(title="pitch", measure="pitch"),
        _Column(title="onset correlation", measure="onset_correlation"),
        _Column(title="onsets per second", measure="onsets_per_second", digits=2),
    ]
    embeddings = []
    for known in EMBEDDER_MEASURES:
        scale = "" if known.mmd_scale == 1 else f" × {known.mmd_scale:g}"
        embeddings += [
            _Column(title=f"embedding distance, {known.embedder}", measure=known.distance),
            _Column(title=f"MMD{scale}, {known.embedder}", measure=known.mmd, digits=2),
        ]
    levels = [
        _Column(title="level difference, dB", measure="level_difference_db", digits=2),
        _Column(title="DC offset, dBFS", measure="dc_offset_dbfs", digits=1),
        _Column(title="DC offset, max.", measure="dc_offset_dbfs", digits=1, largest=True),
        _Column(title="peak, dBFS", measure="peak_dbfs", digits=1),
        _Column(title="peak, max.", measure="peak_dbfs", digits=1, largest=True),
    ]
    tables = [
        ("Distances", _table(report, distances)),
        ("Time-frequency structure", _table(report, structure)),
        ("Embeddings", _with_frechet(_table(report, embeddings), report)),
        ("Levels", _table(report, levels)),
    ]
    return [(title, rows) for title, rows in tables if len(rows[0]) > 1]


def system_rows(report: ReconstructionReport) -> Table:
    """Return what each system is; the first row is the heading."""
    rows = [["system", "what it is"]]
    rows += [[system.name, system.description] for system in named_systems(report.settings.systems)]
    return rows + [
        [other.name, f"another program's reconstructions, from {other.folder}"]
        for other in report.settings.system_audio
    ]


def clip_rows(report: ReconstructionReport) -> Table:
    """Return the mel distance of every clip and system; the first row is the heading."""
    systems = report.settings.system_names
    rows = [["track", "start, s", "level, dBFS", *(f"mel, {name}" for name in systems)]]
    for row in report.rows:
        rows.append(
            [
                row.excerpt.track.path,
                f"{row.excerpt.start_seconds:.1f}",
                f"{row.level_dbfs:.1f}",
                *(f"{row.measures[name].mel:.3f}" for name in systems),
            ]
        )
    return rows


def estimate_cell(
    estimate: Estimate | None, digits: int = 3, usual_count: int | None = None
) -> str:
    """Return "mean [low, high], n=count", without the count if it is the usual one."""
    if estimate is None:
        return _NO_VALUE
    mean, low, high = (f"{v:.{digits}f}" for v in (estimate.mean, estimate.low, estimate.high))
    count = "" if estimate.count == usual_count else f", n={estimate.count}"
    return f"{mean} [{low}, {high}]{count}"


def reconstruction_notes(report: ReconstructionReport) -> list[str]:
    """Return what a reader has to know of the measures, one paragraph each."""
    settings = report.settings
    counted = "whole tracks" if settings.usage == "full" else "the clips"
    return [
        f"{len(report.rows)} clips of at most {settings.excerpt_seconds:g} s, split "
        f"{settings.split or 'all'}. Mean and 95 % bootstrap interval over tracks; n is given "
        "where fewer clips have a value. Mel: mean absolute difference of ln-mels, lower is "
        "better. STFT: spectral convergence plus log-magnitude distance, lower is better. ViSQOL: "
        "audio mode, higher is better, 4.73 at most.",
        "Flicker and grain: mean |difference of ln-mel| between neighboring frames or bins below "
        f"{settings.below_hz / 1000:g} kHz, relative to the original's; 1 is right, below 1 is "
        "blurred. Pitch: correlation of log CQT magnitudes (36 bins per octave, 55 Hz to 3.5 kHz, "
        "mean of each frame removed). Onset correlation: of onset-strength envelopes. Onsets per "
        "second should be as many as the original's.",
        *_embedding_notes(report),
        "Level difference: RMS of the estimate over that of the original. DC offset and peak: of "
        "the estimate; above 0 dBFS it clips in a file of integer samples.",
        *_si_sdr_notes(report),
        "Griffin-Lim optimizes the mel itself, so its mel figures say nothing of how it sounds; "
        "compare systems with a waveform by the other measures too.",
        f"Usage is counted on {counted}.",
        *_frechet_notes(report.frechet),
    ]


def _table(report: ReconstructionReport, columns: Sequence[_Column]) -> Table:
    kept = [
        column
        for column in columns
        if any(column.measure in means for means in report.means.values())
    ]
    rows = [["system", *(column.title for column in kept)]]
    names = list(report.settings.system_names)
    if any(column.measure in report.originals for column in kept):
        names.insert(0, ORIGINAL)
    rows += [[name, *(_cell(report, name, column) for column in kept)] for name in names]
    return rows


def _cell(report: ReconstructionReport, name: str, column: _Column) -> str:
    means = report.originals if name == ORIGINAL else report.means[name]
    if column.measure not in means:
        return _NO_VALUE
    if not column.largest:
        return estimate_cell(means[column.measure], column.digits, len(report.rows))
    found = [row.original if name == ORIGINAL else row.measures[name] for row in report.rows]
    values = [getattr(measures, column.measure) for measures in found]
    return f"{max(value for value in values if value is not None):.{column.digits}f}"


def _with_frechet(rows: Table, report: ReconstructionReport) -> Table:
    if not report.frechet:
        return rows
    cells = ["Frechet, musicnn"]
    for row in rows[1:]:
        found = report.frechet.get(row[0])
        cells.append(f"{found.distance:.3f}, n={found.count}" if found else _NO_VALUE)
    return [[*row, cell] for row, cell in zip(rows, cells, strict=True)]


def _embedding_notes(report: ReconstructionReport) -> list[str]:
    measured = {name for means in report.means.values() for name in means}
    scales = [
        f"times {known.mmd_scale:g} on {known.embedder}"
        for known in EMBEDDER_MEASURES
        if known.mmd in measured
    ]
    if not scales:
        return []
    return [
        "Embedding distance: mean cosine distance of embeddings of the same windows (3 s of the "
        "musicnn tagger, MTT; 2.3 s of aisfx), lower is better. MMD: unbiased squared maximum mean "
        "discrepancy of all embeddings, kernel (x . y / dim + 1)^3, pairs of a window with its own "
        f"reconstruction left out, {' and '.join(scales)}; n windows; 0 if both sets are of one "
        "distribution."
    ]


def _si_sdr_notes(report: ReconstructionReport) -> list[str]:
    if not report.settings.si_sdr:
        return []
    return [
        "SI-SDR compares waveforms sample by sample: it applies to codecs that keep the phase and "
        "is meaningless for those that synthesize it from a mel."
    ]


def _frechet_notes(frechet: Mapping[str, Frechet]) -> list[str]:
    if not frechet:
        return []
    caveat = next(iter(frechet.values())).caveat
    return [
        "Frechet: distance between the sets of reconstructions and of originals, on embeddings of "
        "the musicnn tagger (MTT) of windows of 3 s, n on either side; lower is better. "
        + (f"{caveat.capitalize()}." if caveat else "")
    ]
