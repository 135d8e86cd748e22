"""Experiments, one after another: a corpus and a runs folder to result files."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from bandtok.errors import ConfigError, MissingDependency
from bandtok.training.run import RunReport
from research.claims.bench import Bench, Trained
from research.claims.catalogue import experiments_named
from research.claims.corpora import Corpus, synthetic_corpus
from research.claims.results import Result, write_result
from research.claims.scales import TINY, Scale, scale_named
from research.claims.study import Experiment, Place

_TINY_WARNING = (
    "Scale tiny: a few steps of tiny networks, which only shows that everything runs; the numbers "
    "mean nothing."
)


def open_bench(
    data: Path | None,
    runs: Path,
    scale: str,
    *,
    say: Callable[[str], None] | None = None,
    report: RunReport | None = None,
) -> Bench:
    """Return the bench of a scale.

    Args:
        data: corpus or folder of audio; None makes a synthetic one, for scale "tiny" alone.
        runs: folder for everything that is kept.
        scale: name of the budget.
        say: told in one line what is begun.
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
    return Bench(corpus, runs, chosen, say, report)


def run_experiments(
    bench: Bench,
    names: Sequence[str],
    out: Path,
    *,
    command: str,
    listen: Path | None = None,
) -> list[Result]:
    """Run experiments and write their results; what was done before is read.

    Args:
        bench: corpus, runs and scale.
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
        bench.begin()
        results.append(_run(bench, experiment, out, command, listen))
        write_result(results[-1], out)
    return results


def run_row(bench: Bench, name: str) -> Trained:
    """Train one row of any experiment, and what it builds on.

    Raises:
        ConfigError: if no experiment has a row of that name at this scale.
    """
    rows = {
        row.name: row for one in experiments_named(["all"]) for row in one.all_rows(bench.scale)
    }
    if name not in rows:
        raise ConfigError(f"got row {name!r}; expected one of {', '.join(rows)}")
    return bench.trained(rows[name])


def _check_extras() -> None:
    """Find out before hours of training, not after them."""
    for module, package in (("auraloss", "auraloss"), ("visqol", "visqol-python")):
        if importlib.util.find_spec(module) is None:
            raise MissingDependency(
                f"experiments need {package}, which is not installed; "
                "run: pip install 'bandtok[evaluate]'"
            )


def _run(
    bench: Bench, experiment: Experiment, out: Path, command: str, listen: Path | None
) -> Result:
    scale: Scale = bench.scale
    for row in experiment.all_rows(scale):
        bench.trained(row)
    findings = experiment.find(bench, Place(folder=out, name=experiment.name, listen=listen))
    if scale is TINY:
        findings = replace(findings, answer=f"{_TINY_WARNING} {findings.answer}")
    return Result(
        name=experiment.name,
        title=experiment.title,
        question=experiment.question,
        command=command.format(name=experiment.name),
        minutes=bench.minutes,
        seeds=experiment.seeds(scale),
        scale=scale.name,
        findings=findings,
    )
