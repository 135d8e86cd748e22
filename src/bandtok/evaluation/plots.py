"""Pictures of a reconstruction and of statistics of tokens, as PNG files.

    ln-mels and a TokenGrid -> picture;  statistics by row of the grid -> picture

Whole figures with axes; images without axes are made by :mod:`bandtok.evaluation.spectrogram_png`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bandtok.errors import AudioError
from bandtok.evaluation.mutual_information import Dependence, TokenDependence
from bandtok.evaluation.picture_scales import (
    DECIBELS,
    RANGE_DB,
    frequency_marks,
    narrowed,
)
from bandtok.evaluation.reconstruction import log_mel, matched_waveforms
from bandtok.evaluation.usage import CodebookUsage
from bandtok.extras import missing
from bandtok.signal.audio import Audio
from bandtok.signal.mel import MelConfig
from bandtok.tokens import atomic
from bandtok.tokens.code_colors import token_image
from bandtok.tokens.grid import TokenGrid

try:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
except ImportError as error:
    raise missing(error, "plot") from None
if TYPE_CHECKING:
    from bandtok.evaluation.perplexity import LanguageModelScore

_DIFFERENCE_LIMIT = 2.0


def plot_reconstruction(
    path: str | os.PathLike[str],
    reference: Audio,
    estimate: Audio,
    grid: TokenGrid,
    *,
    title: str = "",
    config: MelConfig | None = None,
    rows_are_bands: bool = True,
) -> None:
    """Plot the mels of original and reconstruction, the token grid and the difference.

    Args:
        path: PNG file to write, atomically.
        reference: the original.
        estimate: its reconstruction, of the same duration.
        grid: the tokens between them; one color per code.
        title: line above the picture.
        config: mel settings; None means the package's.
        rows_are_bands: whether a row is a range of frequencies; other rows are numbered.

    Raises:
        AudioError: if the durations differ or the recordings are shorter than one mel frame.
    """
    config = config or MelConfig()
    first, second = matched_waveforms(reference, estimate, config.sample_rate)
    before, after = (log_mel(config)(waveform) for waveform in (first, second))
    if not before.size:
        raise AudioError(f"got {len(first)} samples; expected at least {config.hop_length}")
    figure = Figure(figsize=(11, 10.5), layout="constrained", dpi=100)
    axes = figure.subplots(4, 1, sharex=True)
    seconds = before.shape[1] * config.hop_length / config.sample_rate
    _draw_mels(figure, (axes[0], axes[1], axes[3]), before, after, seconds, config)
    _draw_tokens(axes[2], grid, config, rows_are_bands)
    axes[3].set_xlabel("time (s)")
    if title:
        figure.suptitle(title)
    _save(figure, path)


def plot_clip(
    path: str | os.PathLike[str],
    audio: Audio,
    grid: TokenGrid | None,
    *,
    title: str = "",
    config: MelConfig | None = None,
    rows_are_bands: bool = True,
) -> None:
    """Draw the mel of a recording and, below it, the tokens that it was made from.

    Args:
        path: PNG file to write, atomically.
        audio: the sound.
        grid: its tokens; None draws the mel alone.
        title, config, rows_are_bands: as in `plot_reconstruction`.

    Raises:
        AudioError: if the recording is shorter than one mel frame.
    """
    config = config or MelConfig()
    waveform = audio.mono().resampled(config.sample_rate).waveform[0]
    if len(waveform) <= config.padding:
        raise AudioError(f"got {len(waveform)} samples; expected more than {config.padding}")
    mel = log_mel(config)(waveform)
    panels = 1 if grid is None else 2
    figure = Figure(figsize=(7.5, 0.6 + 2.2 * panels), layout="constrained", dpi=80)
    axes = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
    seconds = mel.shape[1] * config.hop_length / config.sample_rate
    top = max(float(mel.max()) * DECIBELS, config.silence * DECIBELS + 1)
    _draw_mel(figure, axes[0], mel, "mel", seconds, config, (top - RANGE_DB, top))
    if grid is not None:
        _draw_tokens(axes[1], grid, config, rows_are_bands)
    axes[-1].set(xlabel="time (s)", xlim=(0, seconds))
    if title:
        figure.suptitle(title)
    _save(figure, path)


def plot_mels(
    path: str | os.PathLike[str],
    before: np.ndarray,
    after: np.ndarray,
    config: MelConfig,
    *,
    title: str = "",
    difference_limit: float = _DIFFERENCE_LIMIT,
) -> None:
    """Plot the mels of original and reconstruction and their difference, down to silence.

    Args:
        path: PNG file to write, atomically.
        before, after: ln-mels [n_mels, mel_frames].
        config: their settings.
        title: line above the picture.
        difference_limit: ln difference at which the colors end.
    """
    figure = Figure(figsize=(7.5, 6), layout="constrained", dpi=80)
    axes = figure.subplots(3, 1, sharex=True)
    seconds = before.shape[1] * config.hop_length / config.sample_rate
    _draw_mels(figure, tuple(axes), before, after, seconds, config, np.inf, difference_limit)
    axes[2].set_xlabel("time (s)")
    if title:
        figure.suptitle(title)
    _save(figure, path)


def plot_usage(
    path: str | os.PathLike[str],
    usage: CodebookUsage,
    *,
    title: str = "",
    rows_are_bands: bool = True,
) -> None:
    """Draw entropy and share of used codes by row of the grid.

    Args:
        path: PNG file to write, atomically.
        usage: what was counted.
        title: line above the picture.
        rows_are_bands: whether rows are frequency bands; else they are called layers.
    """
    figure = Figure(figsize=(9, 6), layout="constrained", dpi=100)
    kind, first = ("band", "lowest") if rows_are_bands else ("layer", "coarsest")
    upper, lower = figure.subplots(2, 1, sharex=True)
    bands = np.arange(len(usage.bands))
    upper.bar(bands, [band.entropy_bits for band in usage.bands], color="#3b6ea5")
    upper.axhline(usage.max_entropy_bits, color="black", linewidth=1, label="all codes equal")
    upper.axhline(
        usage.overall.entropy_bits, color="#c44e52", linestyle="--", label=f"all {kind}s together"
    )
    upper.set(ylabel="entropy (bits per token)", ylim=(0, usage.max_entropy_bits * 1.3))
    upper.legend(loc="upper center", ncols=2)
    lower.bar(bands, [100 * band.used_share for band in usage.bands], color="#6aa56e")
    lower.axhline(100 * usage.overall.used_share, color="#c44e52", linestyle="--")
    lower.set(ylabel="codes used (% of codebook)", xlabel=f"{kind}, {first} first", ylim=(0, 105))
    lower.set_xticks(bands)
    if title:
        figure.suptitle(title)
    _save(figure, path)


def plot_profiles(
    path: str | os.PathLike[str],
    usage: CodebookUsage,
    dependence: TokenDependence | None,
    score: LanguageModelScore | None,
    *,
    title: str = "",
) -> None:
    """Plot mutual information, entropy, and what a language model needs, by row of the grid.

    Args:
        path: PNG file to write, atomically.
        usage: entropy of each row.
        dependence: mutual information; None leaves its two panels out.
        score: of a language model; None leaves its curve out.
        title: line above the picture.
    """
    panels = (2 if dependence else 0) + 1
    figure = Figure(figsize=(9, 1 + 2.8 * panels), layout="constrained", dpi=100)
    axes = list(figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0])
    rows = np.arange(len(usage.bands))
    if dependence:
        others = [row.others for row in dependence.rows]
        known = [row for row in others if row is not None]
        _draw_dependence(axes[0], known, "NMI with the other rows\nof the frame (mean)")
        befores = [row.before for row in dependence.rows]
        _draw_dependence(axes[1], befores, "NMI with the row itself\none frame earlier")
    bits = axes[-1]
    bits.plot(rows, [row.entropy_bits for row in usage.bands], "o-", color="#999", label="entropy")
    if score:
        nats = np.array([row.nats for row in score.rows])
        bits.plot(rows, nats / np.log(2), "o-", color="#c44e52", label="language model")
    bits.axhline(usage.max_entropy_bits, color="black", linewidth=1, label="all codes equal")
    bits.set(
        ylabel="bits per token", xlabel="row of the grid", ylim=(0, usage.max_entropy_bits * 1.3)
    )
    bits.legend(loc="upper center", ncols=3)
    bits.set_xticks(rows)
    if title:
        figure.suptitle(title)
    _save(figure, path)


def plot_tags(
    path: str | os.PathLike[str],
    tags: Mapping[str, tuple[float, float]],
    *,
    title: str = "",
    most: int = 24,
) -> None:
    """Draw mean tag probabilities of clips and reference side by side.

    Args:
        path: PNG file to write, atomically.
        tags: probability as (clips, reference), by tag.
        title: line above the picture.
        most: draw the tags with the greatest probability in either.
    """
    chosen = sorted(tags, key=lambda name: -max(tags[name]))[:most][::-1]
    figure = Figure(figsize=(8, 1 + 0.3 * len(chosen)), layout="constrained", dpi=100)
    axis = figure.subplots()
    rows = np.arange(len(chosen))
    for offset, place, name, color in (
        (0.2, 0, "clips", "#3b6ea5"),
        (-0.2, 1, "reference", "#999"),
    ):
        axis.barh(rows + offset, [tags[tag][place] for tag in chosen], 0.4, label=name, color=color)
    axis.set_yticks(rows, chosen)
    axis.set_xlabel("mean probability")
    axis.legend(loc="lower right")
    if title:
        figure.suptitle(title)
    _save(figure, path)


def plot_areas(
    path: str | os.PathLike[str],
    areas: Mapping[str, tuple[float, float, float]],
    *,
    title: str = "",
) -> None:
    """Draw areas under ROC curves with their intervals, the best first; 0.5 is chance.

    Args:
        path: PNG file to write, atomically.
        areas: area, low and high end of its interval, by tag.
        title: line above the picture.
    """
    names = sorted(areas, key=lambda name: areas[name][0])
    figure = Figure(figsize=(8, 1 + 0.25 * len(names)), layout="constrained", dpi=100)
    axis = figure.subplots()
    values = np.array([areas[name] for name in names])
    rows = np.arange(len(names))
    axis.hlines(rows, values[:, 1], values[:, 2], color="#3b6ea5")
    axis.plot(values[:, 0], rows, "o", color="#3b6ea5")
    axis.axvline(0.5, color="black", linewidth=1, linestyle="--")
    axis.set_yticks(rows, names)
    axis.set(xlabel="area under the ROC curve", xlim=(0, 1))
    if title:
        figure.suptitle(title)
    _save(figure, path)


def _draw_dependence(axis: Axes, rows: Sequence[Dependence], label: str) -> None:
    numbers = np.arange(len(rows))
    for name, style, color in (
        ("raw", "o--", "#999"),
        ("floor", "--", "#c44e52"),
        ("corrected", "o-", "#3b6ea5"),
    ):
        axis.plot(numbers, [getattr(row, name) for row in rows], style, color=color, label=name)
    axis.set(ylabel=label, ylim=(-0.05, 1.2))
    if rows:
        axis.legend(loc="upper center", ncols=3)


def _draw_mels(
    figure: Figure,
    axes: tuple[Axes, ...],
    before: np.ndarray,
    after: np.ndarray,
    seconds: float,
    config: MelConfig,
    range_db: float = RANGE_DB,
    difference_limit: float = _DIFFERENCE_LIMIT,
) -> None:
    """Plot into the axes for original, reconstruction and difference."""
    top = max(float(before.max()), float(after.max())) * DECIBELS
    bottom = max(top - range_db, config.silence * DECIBELS)
    limits = (bottom, max(top, bottom + 1))
    for axis, mel, name in ((axes[0], before, "original"), (axes[1], after, "reconstruction")):
        _draw_mel(figure, axis, mel, name, seconds, config, limits)
    difference = after - before
    image = axes[2].imshow(
        narrowed(difference) * DECIBELS,
        origin="lower",
        aspect="auto",
        extent=(0.0, seconds, 0.0, float(config.n_mels)),
        vmin=-difference_limit * DECIBELS,
        vmax=difference_limit * DECIBELS,
        cmap="RdBu_r",
    )
    distance = np.abs(difference).mean()
    title = f"difference: mel distance {distance:.3f} (ln), {distance * DECIBELS:.1f} dB on average"
    axes[2].set_title(title, loc="left", fontsize=10)
    figure.colorbar(image, ax=axes[2], label="dB", pad=0.01)
    _frequency_axis(axes[2], config)


def _draw_mel(
    figure: Figure,
    axis: Axes,
    mel: np.ndarray,
    name: str,
    seconds: float,
    config: MelConfig,
    limits: tuple[float, float],
) -> None:
    image = axis.imshow(
        narrowed(mel * DECIBELS),
        origin="lower",
        aspect="auto",
        extent=(0.0, seconds, 0.0, float(config.n_mels)),
        vmin=limits[0],
        vmax=limits[1],
        cmap="magma",
    )
    axis.set_title(name, loc="left", fontsize=10)
    figure.colorbar(image, ax=axis, label="dB", pad=0.01)
    _frequency_axis(axis, config)


def _draw_tokens(axis: Axes, grid: TokenGrid, config: MelConfig, rows_are_bands: bool) -> None:
    colors = token_image(grid)
    # Bands lie where their frequencies do, lowest below; layers are counted downwards from 0,
    # coarsest on top, as nothing of them is high or low.
    seconds = grid.num_frames * grid.samples_per_frame / grid.sample_rate
    rows = len(colors)
    axis.imshow(
        colors,
        origin="lower" if rows_are_bands else "upper",
        aspect="auto",
        interpolation="nearest",
        extent=(0.0, seconds, 0.0, float(config.n_mels))
        if rows_are_bands
        else (0.0, seconds, rows - 0.5, -0.5),
    )
    kind = "bands" if rows_are_bands else "layers"
    axis.set_title(
        f"tokens: {grid.num_bands} {kind} × {grid.num_frames} frames, "
        f"{grid.bit_rate_bps / 1000:.2f} kbit/s",
        loc="left",
        fontsize=10,
    )
    if rows_are_bands:
        _frequency_axis(axis, config)
    else:
        axis.set_yticks(range(0, rows, max(rows // 8, 1)))
        axis.set_ylabel("layer, coarsest first")


def _frequency_axis(axis: Axes, config: MelConfig) -> None:
    marks = frequency_marks(config)
    axis.set_yticks(list(marks.values()), [f"{hertz:,}" for hertz in marks])
    axis.set_ylabel("frequency (Hz)")


def _save(figure: Figure, path: str | os.PathLike[str]) -> None:
    FigureCanvasAgg(figure)
    with atomic.replacing(path) as temporary:
        figure.savefig(temporary, format="png")
