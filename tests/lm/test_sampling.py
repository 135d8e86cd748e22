"""Drawing codes, against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandtok.errors import ConfigError
from bandtok.lm.sampling import SamplingConfig, filter_logits, sample_code


def _brute_force(
    logits: list[float], temperature: float, top_k: int, top_p: float
) -> dict[int, float]:
    order = sorted(range(len(logits)), key=lambda code: -logits[code])[: top_k or None]
    weights = np.exp([logits[code] / temperature for code in order])
    weights /= weights.sum()
    kept: dict[int, float] = {}
    for code, weight in zip(order, weights, strict=True):
        if top_p < 1 and kept and sum(kept.values()) >= top_p:
            break
        kept[code] = weight
    total = sum(kept.values())
    return {code: weight / total for code, weight in kept.items()}


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000),
    temperature=st.sampled_from([0.5, 1.0, 2.0]),
    top_k=st.sampled_from([0, 1, 3, 100]),
    top_p=st.sampled_from([0.01, 0.4, 0.85, 1.0]),
)
def test_filtered_logits_equal_brute_force(
    seed: int, temperature: float, top_k: int, top_p: float
) -> None:
    logits = np.random.default_rng(seed).standard_normal(12).astype(np.float32) * 2
    config = SamplingConfig(temperature=temperature, top_k=top_k, top_p=top_p)
    codes, probabilities = filter_logits(logits, config)
    expected = _brute_force(logits.tolist(), temperature, top_k, top_p)
    got = dict(zip(codes.tolist(), probabilities.tolist(), strict=True))
    assert got.keys() == expected.keys()
    assert got == pytest.approx(expected, abs=1e-5)


def test_draws_follow_the_probabilities() -> None:
    logits = np.log([0.5, 0.3, 0.15, 0.05])
    generator = np.random.default_rng(0)
    draws = [sample_code(logits, SamplingConfig(top_k=4), generator) for _ in range(4000)]
    shares = np.bincount(draws, minlength=4) / 4000
    np.testing.assert_allclose(shares, [0.5, 0.3, 0.15, 0.05], atol=0.03)


def test_codes_outside_top_k_are_never_drawn() -> None:
    logits = np.array([1.0, 1.1, 0.9, 1.2])
    generator = np.random.default_rng(0)
    config = SamplingConfig(top_k=2, temperature=5.0)
    assert {sample_code(logits, config, generator) for _ in range(200)} == {1, 3}


def test_temperature_zero_is_the_argmax_and_takes_one_number() -> None:
    logits = np.array([1.0, 3.0, 2.0])
    first, second = np.random.default_rng(4), np.random.default_rng(4)
    assert sample_code(logits, SamplingConfig(temperature=0.0), first) == 1
    sample_code(logits, SamplingConfig(), second)
    assert first.random() == second.random()


@pytest.mark.parametrize(
    "settings_", [{"temperature": -1.0}, {"top_k": -1}, {"top_p": 0.0}, {"guidance_scale": -0.5}]
)
def test_settings_out_of_range_are_refused(settings_: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings_))):
        SamplingConfig(**settings_)  # type: ignore[arg-type]
