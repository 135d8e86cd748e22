"""Ablations of the tokenizer, in groups: the settings that differ from the recipe `probe`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """One row: the settings that differ from the base."""

    name: str
    settings: Mapping[str, str] = field(default_factory=dict)


BASE = Ablation(name="base")
GROUPS: dict[str, tuple[Ablation, ...]] = {
    "codebook": (
        BASE,
        Ablation(name="ema-no-revival", settings={"check_dead_codes_every": "none"}),
        Ablation(name="gradient", settings={"quantizer_type": "gradient"}),
        Ablation(
            name="gradient-no-revival",
            settings={"quantizer_type": "gradient", "check_dead_codes_every": "none"},
        ),
        Ablation(name="simvq", settings={"quantizer_type": "simvq"}),
        Ablation(name="lattice", settings={"quantizer_type": "lattice", "code_dim": "4"}),
        Ablation(name="rotation", settings={"rotation": "true"}),
        Ablation(name="start-untrained", settings={"quantize_start_step": "0"}),
    ),
    "size": (
        BASE,
        Ablation(name="codes-2048", settings={"codebook_size": "2048"}),
        Ablation(name="codes-8192", settings={"codebook_size": "8192"}),
    ),
    "shape": (
        BASE,
        Ablation(name="code-dim-8", settings={"code_dim": "8"}),
        Ablation(name="code-dim-32", settings={"code_dim": "32"}),
        Ablation(
            name="wide-at-quarter",
            settings={"base_channels": "64", "grid_channels": "64"},
        ),
        Ablation(
            name="wide-at-grid",
            settings={"base_channels": "32", "grid_channels": "160"},
        ),
        Ablation(
            name="heavy-encoder",
            settings={
                "encoder_base_blocks": "3",
                "encoder_grid_blocks": "4",
                "decoder_grid_blocks": "3",
                "decoder_base_blocks": "2",
            },
        ),
        Ablation(
            name="no-blocks-at-quarter",
            settings={"encoder_base_blocks": "0", "decoder_base_blocks": "0"},
        ),
    ),
    "loss": (
        BASE,
        Ablation(name="loud-0.3", settings={"loud_weight": "0.3"}),
        Ablation(name="loud-1", settings={"loud_weight": "1.0"}),
        Ablation(name="smooth-0.1", settings={"smoothness_weight": "0.1"}),
        Ablation(name="predict-0.3", settings={"predictability_weight": "0.3"}),
        Ablation(name="predict-1", settings={"predictability_weight": "1.0"}),
    ),
    "data": (
        BASE,
        Ablation(name="wide-gain", settings={"gain_db": "[-24, 12]"}),
        Ablation(name="speed", settings={"speed": "[0.8, 1.25]"}),
        Ablation(name="synthetic-10", settings={"synthetic_share": "0.1"}),
        Ablation(name="full-bandwidth", settings={"bandwidth_power": "3.0"}),
    ),
    "mechanics": (
        BASE,
        Ablation(
            name="batch-12-half-crops", settings={"batch_size": "12", "crop_mel_frames": "64"}
        ),
        Ablation(
            name="batch-3-double-crops", settings={"batch_size": "3", "crop_mel_frames": "256"}
        ),
        Ablation(name="rate-halved", settings={"learning_rate": "5e-4"}),
        Ablation(name="rate-doubled", settings={"learning_rate": "2e-3"}),
        Ablation(name="no-weight-averaging", settings={"ema_decay": "0.0"}),
    ),
    "judges": (
        BASE,
        *(
            Ablation(
                name=f"judges-{scales}",
                settings={"num_scales": str(scales), "discriminator_start_step": "150"},
            )
            for scales in (1, 3)
        ),
    ),
}
