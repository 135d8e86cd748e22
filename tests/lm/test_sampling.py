"""Drawing codes, against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandtok.errors import ConfigError
from bandtok.lm.sampling import SamplingConfig, filter_logits, sample_codes


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
    logits = np.random.default_rng(seed).standard_normal((3, 12)).astype(np.float32) * 2
    config = SamplingConfig(temperature=temperature, top_k=top_k, top_p=top_p)
    codes, probabilities = filter_logits(logits, config)
    for clip, scores in enumerate(logits):
        expected = _brute_force(scores.tolist(), temperature, top_k, top_p)
        pairs = zip(codes[clip].tolist(), probabilities[clip].tolist(), strict=True)
        got = {code: probability for code, probability in pairs if probability}
        assert got.keys() == expected.keys()
        assert got == pytest.approx(expected, abs=1e-5)


def _sample(logits: np.ndarray, config: SamplingConfig, rng: np.random.Generator) -> int:
    return int(sample_codes(logits[None], config, [rng])[0])


def test_codes_of_a_clip_do_not_depend_on_the_others() -> None:
    logits = np.random.default_rng(0).standard_normal((3, 50))
    for config in (SamplingConfig(), SamplingConfig(top_k=7), SamplingConfig(top_p=0.6)):
        rngs = [np.random.default_rng(seed) for seed in range(3)]
        together = [sample_codes(logits, config, rngs) for _ in range(20)]
        for clip in range(3):
            rng = np.random.default_rng(clip)
            alone = [_sample(logits[clip], config, rng) for _ in range(20)]
            assert alone == [codes[clip] for codes in together]


def test_draws_follow_the_probabilities() -> None:
    logits = np.log([0.5, 0.3, 0.15, 0.05])
    generator = np.random.default_rng(0)
    draws = [_sample(logits, SamplingConfig(top_k=4), generator) for _ in range(4000)]
    shares = np.bincount(draws, minlength=4) / 4000
    np.testing.assert_allclose(shares, [0.5, 0.3, 0.15, 0.05], atol=0.03)


def test_codes_outside_top_k_are_never_drawn() -> None:
    logits = np.array([1.0, 1.1, 0.9, 1.2])
    generator = np.random.default_rng(0)
    config = SamplingConfig(top_k=2, temperature=5.0)
    assert {_sample(logits, config, generator) for _ in range(200)} == {1, 3}


def test_temperature_zero_is_the_argmax_and_takes_one_number() -> None:
    logits = np.array([1.0, 3.0, 2.0])
    first, second = np.random.default_rng(4), np.random.default_rng(4)
    assert _sample(logits, SamplingConfig(temperature=0.0), first) == 1
    _sample(logits, SamplingConfig(), second)
    assert first.random() == second.random()


@pytest.mark.parametrize(
    "settings_", [{"temperature": -1.0}, {"top_k": -1}, {"top_p": 0.0}, {"guidance_scale": -0.5}]
)
def test_settings_out_of_range_are_refused(settings_: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings_))):
        SamplingConfig(**settings_)  # type: ignore[arg-type]
