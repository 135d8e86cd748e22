"""Experiments, one after another: a corpus and a runs folder to result files."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from bandtok.errors import ConfigError, MissingDependency
from bandtok.training.run import RunReport
from research.claims.catalogue import experiments_named
from research.claims.corpora import Corpus, synthetic_corpus
from research.claims.results import Result, write_result
from research.claims.run_store import RunStore, Trained
from research.claims.scales import TINY, Scale, scale_named
from research.claims.study import Experiment, Place

_TINY_WARNING = (
    "Scale tiny: a few steps of tiny networks, which only shows that everything runs; the numbers "
    "mean nothing."
)


def open_store(
    data: Path | None,
    runs: Path,
    scale: str,
    *,
    say: Callable[[str], None] | None = None,
    report: RunReport | None = None,
) -> RunStore:
    """Return the store of a scale.

    Args:
        data: corpus or folder of audio; None makes a synthetic one, for scale "tiny" alone.
        runs: folder for everything that is kept.
        scale: name of the budget.
        say: given one line about what begins.
        report: progress of trainings.

    Raises:
        ConfigError: if there is no such scale, or no corpus at another than "tiny".
    """
    chosen = scale_named(scale)
    if data is None:
        if chosen is not TINY:
            raise ConfigError(f"got no corpus for scale {scale!r}; name one with --data")
        data = synthetic_corpus(runs / chosen.name / "corpus")
    corpus = Corpus(data, runs / chosen.name / "views")
    return RunStore(corpus, runs, chosen, say, report)


def run_experiments(
    store: RunStore,
    names: Sequence[str],
    out: Path,
    *,
    command: str,
    listen: Path | None = None,
) -> list[Result]:
    """Run experiments and write their results; what was done before is read.

    Args:
        store: corpus, runs and scale.
        names: of experiments; "all" for every one.
        out: folder of results.
        command: that makes them again, {name} standing for the experiment.
        listen: folder of audio for the clips of reconstruction.

    Raises:
        ConfigError: if a name is unknown. TrainingError: if a training was stopped.
        MissingDependency: if a measure needs an extra that is not installed.
    """
    _check_extras()
    results = []
    for experiment in experiments_named(names):
        store.begin()
        results.append(_run(store, experiment, out, command, listen))
        write_result(results[-1], out)
    return results


def run_row(store: RunStore, name: str) -> Trained:
    """Train one row of any experiment, and what it builds on.

    Raises:
        ConfigError: if no experiment has a row of that name at this scale.
    """
    rows = {
        row.name: row for one in experiments_named(["all"]) for row in one.all_rows(store.scale)
    }
    if name not in rows:
        raise ConfigError(f"got row {name!r}; expected one of {', '.join(rows)}")
    return store.trained(rows[name])


def _check_extras() -> None:
    """Find out before hours of training, not after them."""
    for module, package in (("auraloss", "auraloss"), ("visqol", "visqol-python")):
        if importlib.util.find_spec(module) is None:
            raise MissingDependency(
                f"experiments need {package}, which is not installed; "
                "run: pip install 'bandtok[evaluate]'"
            )


def _run(
    store: RunStore, experiment: Experiment, out: Path, command: str, listen: Path | None
) -> Result:
    scale: Scale = store.scale
    for row in experiment.all_rows(scale):
        store.trained(row)
    findings = experiment.find(store, Place(folder=out, name=experiment.name, listen=listen))
    if scale is TINY:
        findings = replace(findings, answer=f"{_TINY_WARNING} {findings.answer}")
    return Result(
        name=experiment.name,
        title=experiment.title,
        question=experiment.question,
        command=command.format(name=experiment.name),
        minutes=store.minutes,
        seeds=experiment.seeds(scale),
        scale=scale.name,
        findings=findings,
    )
