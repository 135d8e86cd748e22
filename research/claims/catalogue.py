"""The experiments by name."""

from __future__ import annotations

from collections.abc import Sequence

from bandtok.errors import ConfigError
from research.claims import (
    study_errors,
    study_generation,
    study_independence,
    study_prediction,
    study_reconstruction,
    study_training,
)
from research.claims.rows import LanguageModelRow, Row
from research.claims.scales import Scale
from research.claims.study import Experiment

EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        Experiment(
            name="reconstruction",
            title="Reconstruction: band against residual tokens",
            question="Do band tokens from one codebook reconstruct music better than residual "
            "tokens at the same bit rate, steps and blocks?",
            rows=study_reconstruction.reconstruction_rows,
            find=study_reconstruction.find_reconstruction,
        ),
        Experiment(
            name="prediction",
            title="Language modelling: bits a second of music",
            question="Does the same language model with the same budget need fewer bits for a "
            "second of music in band tokens than in residual ones, flattened or delayed?",
            rows=study_prediction.prediction_rows,
            find=study_prediction.find_prediction,
        ),
        Experiment(
            name="generation",
            title="Generation: band against residual tokens",
            question="Are clips that language models write in band tokens closer to real music "
            "than clips in residual tokens, and do they follow prompts better?",
            rows=study_generation.generation_rows,
            find=study_generation.find_generation,
        ),
        Experiment(
            name="independence",
            title="Independence of tokens, by token index",
            question="Do tokens of a frame tell less of one another when they are bands than when "
            "they are residual layers, and how well is each foretold?",
            rows=study_independence.independence_rows,
            find=study_independence.find_independence,
        ),
        Experiment(
            name="errors",
            title="Accumulation of errors",
            question="How far does a wrong early token of a frame spread into later tokens and "
            "into the sound, in each system?",
            rows=study_errors.error_rows,
            find=study_errors.find_errors,
        ),
        Experiment(
            name="positions",
            title="2D against 1D rotary positions",
            question="Do rotary positions by frame and row help a language model more than "
            "positions along the flattened sequence?",
            rows=study_prediction.position_rows,
            find=study_prediction.find_positions,
        ),
        Experiment(
            name="patchgan",
            title="PatchGAN on the decoder: none, one scale, three scales",
            question="Does a multi-scale patch discriminator improve reconstruction?",
            rows=study_training.patchgan_rows,
            find=study_training.find_patchgan,
        ),
        Experiment(
            name="codebook",
            title="Codebook by moving averages against by gradient",
            question="Does a codebook that follows moving averages reconstruct better than one "
            "that is learned by gradient?",
            rows=study_training.codebook_rows,
            find=study_training.find_codebook,
        ),
        Experiment(
            name="data-size",
            title="With little music to learn from",
            question="How do both kinds of token do with less training music?",
            rows=study_reconstruction.data_size_rows,
            find=study_reconstruction.find_data_size,
        ),
    )
}


def experiments_named(names: Sequence[str]) -> list[Experiment]:
    """Return experiments; "all" stands for every one.

    Raises:
        ConfigError: if there is none of a name.
    """
    for name in names:
        if name != "all" and name not in EXPERIMENTS:
            raise ConfigError(f"got experiment {name!r}; expected all, {', '.join(EXPERIMENTS)}")
    wanted = EXPERIMENTS if "all" in names else dict.fromkeys(names)
    return [EXPERIMENTS[name] for name in wanted]


def estimated_minutes(experiment: Experiment, scale: Scale) -> float:
    """Return about how long an experiment takes on two cores, nothing of it being done yet."""
    return _minutes(experiment.all_rows(scale), scale) + scale.measuring.get(experiment.name, 0.0)


def estimated_minutes_of_all(scale: Scale) -> float:
    """Return about how long all of them take together, what they share being done once."""
    rows = {row.name: row for one in EXPERIMENTS.values() for row in one.all_rows(scale)}
    return _minutes(list(rows.values()), scale) + sum(scale.measuring.values())


_HELD_OUT_HOURS = 2.4
"""Held-out and validation music of the open-music corpus, tokenized beside what is trained on."""
_ALL_HOURS = 17.6


def _minutes(rows: Sequence[Row], scale: Scale) -> float:
    shards = {(row.tokenizer.name, row.hours) for row in rows if isinstance(row, LanguageModelRow)}
    hours = sum((most or _ALL_HOURS) + _HELD_OUT_HOURS for _, most in shards)
    return sum(row.budget.minutes for row in rows) + 60 * hours / scale.encode_speed
