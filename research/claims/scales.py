"""How much is trained and measured: the budgets by name. Knows no experiment.

`full` is sized for about six hours on two CPU cores, `short` for two and a half, `tiny` for a test.
Minutes are estimates from steps and the seconds that a step took on two cores; decoding the corpus
into the cache, once, is not counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bandtok.errors import ConfigError

Settings = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A training: a recipe and what is changed of it.

    Attributes:
        recipe: its name.
        settings: as for `bandtok train --set`.
        step_seconds: about how long a step takes on two cores.
    """

    recipe: str
    settings: Settings
    step_seconds: float

    @property
    def steps(self) -> int:
        return int(self.settings["loop.steps"])

    @property
    def minutes(self) -> float:
        return self.steps * self.step_seconds / 60


@dataclass(frozen=True, kw_only=True)
class Scale:
    """One budget for all experiments.

    Attributes:
        name: "full", "short" or "tiny".
        tokenizers: by system, "band" and "residual"; equal steps and batches.
        sharpen: the decoder against patch discriminators, codes frozen.
        language_model: the same for every kind of token.
        seeds: of every row but those of data size, which have the first alone.
        sizes: hours of training music on the axis of data size, beside all of it.
        lm_hours: language models learn on at most so much; None for all.
        encode_speed: seconds of music tokenized in a second, for estimates.
        excerpt_seconds: length of the clips of reconstruction.
        excerpts: at most so many.
        visqol: rate so many of them.
        rounds: of Griffin-Lim.
        windows: a language model scores so many held-out windows.
        profile_frames: frames that mutual information counts; None takes all that systems share.
        folds: groups of tracks of its jackknife.
        places: where tokens are made wrong; damage to the mel is measured at half as many.
        later_frames: frames after the one made wrong that are looked at.
        samples: clips without a prompt from each language model.
        prompts: of the bundled prompts, used once each.
        sample_seconds: length of generated clips.
        kept_seconds: length of the clips kept beside the results.
        kept_excerpts: excerpts kept with their reconstructions.
        kept_free, kept_prompted: generated clips kept of each model.
        measuring: minutes of measuring, by experiment.
    """

    name: str
    tokenizers: Mapping[str, Budget]
    sharpen: Budget
    language_model: Budget
    seeds: tuple[int, ...]
    sizes: tuple[float, ...]
    lm_hours: float | None
    encode_speed: float
    excerpt_seconds: float
    excerpts: int
    visqol: int
    rounds: int
    windows: int
    profile_frames: int | None
    folds: int
    places: int
    later_frames: int
    samples: int
    prompts: int
    sample_seconds: float
    kept_seconds: float
    kept_excerpts: int = 3
    kept_free: int = 2
    kept_prompted: int = 4
    measuring: Mapping[str, float] = field(default_factory=dict)


def scale_named(name: str) -> Scale:
    """Return a scale.

    Raises:
        ConfigError: if there is none of that name.
    """
    if name not in SCALES:
        raise ConfigError(f"got scale {name!r}; expected one of {', '.join(SCALES)}")
    return SCALES[name]


def _steps(count: int, warmup: int) -> dict[str, str]:
    return {
        "loop.steps": str(count),
        "loop.warmup_steps": str(warmup),
        "loop.validate_every": str(count),
        "loop.save_every": str(min(count, 100)),
    }


_MANY_CROPS = {"batch_size": "12", "crop_mel_frames": "64"}
_PROBE_SIZE = {"base_channels": "48", "grid_channels": "96"}
_DEBUG_SIZE = {
    "base_channels": "8",
    "grid_channels": "16",
    "encoder_base_blocks": "1",
    "encoder_grid_blocks": "1",
    "decoder_grid_blocks": "1",
    "decoder_base_blocks": "1",
    "codebook_size": "64",
    "code_dim": "4",
}
_DEBUG_BATCH = {"batch_size": "2", "crop_mel_frames": "32", "validation_crops": "2"}


def _language_model(steps: int, warmup: int, **settings: str) -> dict[str, str]:
    """Return the settings of a language model; without a beat clock, as tokens are compared."""
    fixed = {"sampled_frames": "0", "validation_windows": "8", "beat_conditioning": "false"}
    return {**_steps(steps, warmup), **fixed, **settings}


FULL = Scale(
    name="full",
    tokenizers={
        "band": Budget(recipe="default", settings=_steps(840, 60), step_seconds=0.9),
        "residual": Budget(recipe="residual", settings=_steps(840, 60), step_seconds=0.9),
    },
    sharpen=Budget(
        recipe="sharpen",
        settings={**_steps(300, 30), "discriminator_start_step": "60"},
        step_seconds=0.9,
    ),
    language_model=Budget(
        recipe="default",
        settings=_language_model(150, 20, num_layers="4"),
        step_seconds=2.2,
    ),
    seeds=(0, 1),
    sizes=(1.0, 5.0),
    lm_hours=4.0,
    encode_speed=45.0,
    excerpt_seconds=10.0,
    excerpts=27,
    visqol=12,
    rounds=32,
    windows=80,
    profile_frames=None,
    folds=8,
    places=24,
    later_frames=4,
    samples=24,
    prompts=48,
    sample_seconds=10.0,
    kept_seconds=5.0,
    measuring={
        "reconstruction": 16,
        "prediction": 9,
        "generation": 30,
        "independence": 4,
        "errors": 14,
        "positions": 1,
        "patchgan": 8,
        "codebook": 3,
        "data-size": 5,
    },
)

SHORT = Scale(
    name="short",
    tokenizers={
        "band": Budget(
            recipe="probe", settings={**_steps(1200, 60), **_MANY_CROPS}, step_seconds=0.15
        ),
        "residual": Budget(
            recipe="residual_probe", settings={**_steps(1200, 60), **_MANY_CROPS}, step_seconds=0.15
        ),
    },
    sharpen=Budget(
        recipe="sharpen",
        settings={
            **_steps(240, 24),
            **_MANY_CROPS,
            **_PROBE_SIZE,
            "discriminator_start_step": "20",
        },
        step_seconds=0.15,
    ),
    language_model=Budget(
        recipe="default",
        settings=_language_model(180, 20, num_layers="3", model_dim="192", mlp_dim="768"),
        step_seconds=0.7,
    ),
    seeds=(0, 1),
    sizes=(0.25, 1.0, 5.0),
    lm_hours=2.0,
    encode_speed=100.0,
    excerpt_seconds=6.0,
    excerpts=16,
    visqol=8,
    rounds=32,
    windows=40,
    profile_frames=None,
    folds=8,
    places=16,
    later_frames=3,
    samples=24,
    prompts=16,
    sample_seconds=9.1,
    kept_seconds=4.0,
    kept_free=1,
    kept_prompted=2,
    measuring={
        "reconstruction": 6,
        "prediction": 4,
        "generation": 14,
        "independence": 2,
        "errors": 5,
        "positions": 0.2,
        "patchgan": 8,
        "codebook": 1,
        "data-size": 3,
    },
)

TINY = Scale(
    name="tiny",
    tokenizers={
        system: Budget(
            recipe=recipe,
            settings={
                **_steps(3, 1),
                **_DEBUG_BATCH,
                "quantize_start_step": "1",
                "discriminator_start_step": "none",
                "start_vectors_per_entry": "1",
            },
            step_seconds=0.1,
        )
        for system, recipe in (("band", "debug"), ("residual", "residual_debug"))
    },
    sharpen=Budget(
        recipe="sharpen",
        settings={**_steps(2, 1), **_DEBUG_SIZE, **_DEBUG_BATCH, "discriminator_start_step": "1"},
        step_seconds=0.2,
    ),
    language_model=Budget(
        recipe="debug",
        settings=_language_model(2, 1, validation_windows="2"),
        step_seconds=0.1,
    ),
    seeds=(0, 1),
    sizes=(0.001, 0.002),
    lm_hours=None,
    encode_speed=100.0,
    excerpt_seconds=1.0,
    excerpts=2,
    visqol=0,
    rounds=2,
    windows=4,
    profile_frames=None,
    folds=2,
    places=2,
    later_frames=1,
    samples=2,
    prompts=2,
    sample_seconds=0.75,
    kept_seconds=0.75,
    kept_excerpts=1,
    kept_free=1,
    kept_prompted=1,
)

SCALES = {scale.name: scale for scale in (FULL, SHORT, TINY)}
