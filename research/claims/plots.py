"""Curves and bars with intervals, as SVG files that are the same on every run.

numbers by name -> OUT/NAME-x.svg
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from bandtok.evaluation.statistics import Estimate
from bandtok.tokens import atomic

COLOURS = {"band": "#3b6ea5", "residual": "#c44e52"}
_OTHERS = ("#6aa56e", "#8172b3", "#ccb974", "#64b5cd", "#555555")


def plot_curves(
    path: Path,
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    x_label: str,
    x_values: Sequence[float] | None = None,
    x_names: Sequence[str] | None = None,
) -> str:
    """Draw curves by name, a panel for each y label, and return the file's name.

    Args:
        path: SVG file to write, atomically.
        panels: y label -> name of curve -> values.
        x_label: below the last panel.
        x_values: of all curves; None for 0, 1, 2, ...
        x_names: written in place of the values.
    """
    figure = Figure(figsize=(8, 0.8 + 2.6 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (label, curves) in zip(axes, panels.items(), strict=True):
        for index, (name, values) in enumerate(curves.items()):
            xs = np.arange(len(values)) if x_values is None else np.asarray(x_values)
            dashed = "--" if "floor" in name or "1D" in name else "-"
            axis.plot(xs, values, f"o{dashed}", color=_color(name, index), label=name)
        axis.set_ylabel(label)
        axis.legend(loc="best", fontsize=8)
    _ticks(axes[-1], x_values, x_names, panels)
    axes[-1].set_xlabel(x_label)
    return _save(figure, path)


def plot_bars(path: Path, panels: Mapping[str, Mapping[str, Estimate]]) -> str:
    """Draw means with intervals, a panel for each measure, and return the file's name."""
    tallest = max(len(bars) for bars in panels.values())
    figure = Figure(figsize=(8, len(panels) * (0.8 + 0.3 * tallest)), layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    for axis, (label, bars) in zip(axes, panels.items(), strict=True):
        names = list(bars)[::-1]
        rows = np.arange(len(names))
        for row, name in zip(rows, names, strict=True):
            one, color = bars[name], _color(name, int(row))
            axis.plot(one.mean, row, "o", color=color)
            axis.hlines(row, one.low, one.high, color=color)
        axis.set_yticks(rows, names)
        axis.set_ylim(-0.5, len(names) - 0.5)
        axis.set_xlabel(f"{label}, 95 % interval")
    return _save(figure, path)


def _color(name: str, index: int) -> str:
    own = (color for system, color in COLOURS.items() if name.startswith(system))
    return next(own, _OTHERS[index % len(_OTHERS)])


def _ticks(
    axis: Axes,
    values: Sequence[float] | None,
    names: Sequence[str] | None,
    panels: Mapping[str, Mapping[str, Sequence[float]]],
) -> None:
    longest = max(len(curve) for curves in panels.values() for curve in curves.values())
    places = list(range(longest)) if values is None else list(values)
    axis.set_xticks(places, list(names) if names else [f"{place:g}" for place in places])


def _save(figure: Figure, path: Path) -> str:
    FigureCanvasSVG(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(path) as temporary, matplotlib.rc_context({"svg.hashsalt": path.name}):
        figure.savefig(temporary, format="svg", metadata={"Date": None})
    return path.name
