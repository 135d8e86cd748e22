"""Rows and budgets: every row fits its recipe, and what experiments share is one training."""

from __future__ import annotations

import pytest

from bandtok.errors import ConfigError
from bandtok.tokenizer.mel_image import MelImageConfig
from bandtok.training.find_recipe import recipe_modules
from bandtok.training.settings import describe, override
from research.claims.catalogue import (
    EXPERIMENTS,
    estimated_minutes,
    estimated_minutes_of_all,
    experiments_named,
)
from research.claims.rows import LanguageModelRow, TokenizerRow, with_needs
from research.claims.scales import FULL, SCALES, SHORT, Scale, scale_named
from research.claims.study_generation import chosen_prompts

ALL_SCALES = pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)


@ALL_SCALES
def test_every_row_fits_its_recipe_and_rows_of_one_name_are_one(scale: Scale) -> None:
    found = {}
    for experiment in EXPERIMENTS.values():
        for row in experiment.all_rows(scale):
            assert found.setdefault(row.name, row) == row
    for row in found.values():
        recipe = getattr(recipe_modules()[row.kind], row.budget.recipe)()
        settings = {**row.budget.settings, **row.changes, "loop.seed": str(row.seed)}
        complete = override(recipe, settings)
        assert complete.loop.steps == row.budget.steps
        assert complete.loop.steps % complete.loop.save_every in range(complete.loop.steps + 1)


@ALL_SCALES
def test_band_and_residual_tokens_differ_in_nothing_but_the_token(scale: Scale) -> None:
    sizes = []
    for system in ("band", "residual"):
        budget = scale.tokenizers[system]
        recipe = override(getattr(recipe_modules()["tokenizer"], budget.recipe)(), budget.settings)
        network: MelImageConfig = recipe.network
        sizes.append((network.bit_rate_bps, network.num_bands, network.frame_rate))
        differing = {
            "code_dim", "band_dim", "num_layers", "start_vectors_per_entry", "layer_dropout"
        }  # fmt: skip
        shape = {k: v for k, v in describe(recipe).items() if k.split(".")[-1] not in differing}
        sizes.append(shape)
    assert sizes[0] == sizes[2]
    assert sizes[1] == sizes[3]


@ALL_SCALES
def test_a_row_comes_after_what_it_needs(scale: Scale) -> None:
    rows = with_needs(EXPERIMENTS["patchgan"].rows(scale))
    names = [row.name for row in rows]
    for row in rows:
        assert all(names.index(needed.name) < names.index(row.name) for needed in row.needs)


def test_claims_that_hang_on_a_seed_have_two() -> None:
    for scale in (FULL, SHORT):
        for name in ("reconstruction", "prediction", "independence", "errors", "positions"):
            assert len(EXPERIMENTS[name].seeds(scale)) >= 2


def test_all_of_the_music_is_shared_with_the_main_rows() -> None:
    main = {row.name for row in EXPERIMENTS["prediction"].all_rows(FULL)}
    sizes = EXPERIMENTS["data-size"].all_rows(FULL)
    assert {"band-0", "residual-0", "lm-band-2d-0"} <= main & {row.name for row in sizes}
    hours = {row.name: row.hours for row in sizes}
    assert (hours["band-1h-0"], hours["band-0"], hours["lm-band-2d-1h-0"]) == (1.0, None, 1.0)
    for row in sizes:
        if isinstance(row, LanguageModelRow):
            assert row.hours is not None
            assert row.hours <= (FULL.lm_hours or 0)


def test_budgets_are_what_they_say() -> None:
    assert 240 < estimated_minutes_of_all(FULL) < 420
    assert 30 < estimated_minutes_of_all(SHORT) < 150
    for experiment in EXPERIMENTS.values():
        assert 0 < estimated_minutes(experiment, SHORT) < estimated_minutes(experiment, FULL)


def test_sharpened_decoders_start_from_the_tokenizer_of_their_seed() -> None:
    rows = EXPERIMENTS["patchgan"].rows(FULL)
    starts = [row.start for row in rows if isinstance(row, TokenizerRow)]
    assert [start.name for start in starts if start] == ["band-0", "band-1"] * 3


def test_names() -> None:
    assert [one.name for one in experiments_named(["errors", "codebook", "errors"])] == [
        "errors",
        "codebook",
    ]
    assert experiments_named(["all"]) == list(EXPERIMENTS.values())
    with pytest.raises(ConfigError, match="expected all, reconstruction"):
        experiments_named(["everything"])
    with pytest.raises(ConfigError, match="full, short, tiny"):
        scale_named("huge")


@pytest.mark.parametrize(("count", "measured"), [(16, 2), (48, 6)])
def test_prompts_ask_for_tags_often_enough_to_be_judged(count: int, measured: int) -> None:
    prompts = chosen_prompts(count)
    assert len({prompt.text for prompt in prompts}) == count
    asked = [sum(name in one.concepts for one in prompts) for name in ("slow", "fast", "quiet")]
    assert asked[0] >= 6
    assert asked[1] >= 6
    assert (asked[2] >= 6) == (measured == 6)
    assert len(chosen_prompts(1000)) < 1000
