"""Levers of the tokenizer, in groups: the settings that differ from the recipe `probe`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Lever:
    """One row: the settings that differ from the base."""

    name: str
    settings: Mapping[str, str] = field(default_factory=dict)


BASE = Lever(name="base")
GROUPS: dict[str, tuple[Lever, ...]] = {
    "codebook": (
        BASE,
        Lever(name="ema-no-revival", settings={"revive_every": "none"}),
        Lever(name="gradient", settings={"codebook_rule": "gradient"}),
        Lever(
            name="gradient-no-revival",
            settings={"codebook_rule": "gradient", "revive_every": "none"},
        ),
        Lever(name="simvq", settings={"codebook_rule": "simvq"}),
        Lever(name="lattice", settings={"codebook_rule": "lattice", "code_dim": "4"}),
        Lever(name="rotation", settings={"rotation": "true"}),
        Lever(name="start-untrained", settings={"quantize_after": "0"}),
    ),
    "size": (
        BASE,
        Lever(name="codes-2048", settings={"codebook_size": "2048"}),
        Lever(name="codes-8192", settings={"codebook_size": "8192"}),
    ),
    "shape": (
        BASE,
        Lever(name="code-dim-8", settings={"code_dim": "8"}),
        Lever(name="code-dim-32", settings={"code_dim": "32"}),
        Lever(
            name="wide-at-quarter",
            settings={"base_channels": "64", "grid_channels": "64"},
        ),
        Lever(
            name="wide-at-grid",
            settings={"base_channels": "32", "grid_channels": "160"},
        ),
        Lever(
            name="heavy-encoder",
            settings={
                "encoder_base_blocks": "3",
                "encoder_grid_blocks": "4",
                "decoder_grid_blocks": "3",
                "decoder_base_blocks": "2",
            },
        ),
        Lever(
            name="no-blocks-at-quarter",
            settings={"encoder_base_blocks": "0", "decoder_base_blocks": "0"},
        ),
    ),
    "loss": (
        BASE,
        Lever(name="loud-0.3", settings={"loud_weight": "0.3"}),
        Lever(name="loud-1", settings={"loud_weight": "1.0"}),
        Lever(name="smooth-0.1", settings={"smoothness_weight": "0.1"}),
        Lever(name="predict-0.3", settings={"prediction_weight": "0.3"}),
        Lever(name="predict-1", settings={"prediction_weight": "1.0"}),
    ),
    "data": (
        BASE,
        Lever(name="wide-gain", settings={"gain_db": "[-24, 12]"}),
        Lever(name="speed", settings={"speed": "[0.8, 1.25]"}),
        Lever(name="synthetic-10", settings={"synthetic_share": "0.1"}),
        Lever(name="full-bandwidth", settings={"bandwidth_power": "3.0"}),
    ),
    "mechanics": (
        BASE,
        Lever(name="batch-12-half-crops", settings={"batch_size": "12", "crop_mel_frames": "64"}),
        Lever(name="batch-3-double-crops", settings={"batch_size": "3", "crop_mel_frames": "256"}),
        Lever(name="rate-halved", settings={"learning_rate": "5e-4"}),
        Lever(name="rate-doubled", settings={"learning_rate": "2e-3"}),
        Lever(name="no-weight-averaging", settings={"ema_decay": "0.0"}),
    ),
    "judges": (
        BASE,
        *(
            Lever(
                name=f"judges-{scales}",
                settings={"num_scales": str(scales), "adversarial_after": "150"},
            )
            for scales in (1, 3)
        ),
    ),
}
