"""Text encoders."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from bandtok.backends import load_text_encoder
from bandtok.errors import ConfigError, MissingDependency
from bandtok.extras import Extra
from bandtok.lm.text_embeddings import HashTextEncoder, TextEmbeddings, pad_states


def test_hash_encoder_is_deterministic_and_tells_words_apart() -> None:
    first = HashTextEncoder(6).encode(["Calm piano"])
    second = HashTextEncoder(6).encode(["calm  piano"])
    assert np.array_equal(first.states, second.states)
    assert first.states.shape == (1, 3, 6)
    assert not np.array_equal(first.states, HashTextEncoder(6).encode(["calm drums"]).states)


def test_padding_and_empty_prompts() -> None:
    states = HashTextEncoder(4).encode(["one two three", "", "one"])
    assert states.mask.sum(axis=1).tolist() == [4, 0, 2]
    assert not states.is_empty
    assert HashTextEncoder(4).encode(["", " "]).is_empty
    assert pad_states([], 4).states.shape == (0, 1, 4)


def test_names_of_encoders() -> None:
    assert load_text_encoder("hash:7").dim == 7
    for name in ("word2vec", "hub:", "hub", "hash:x"):
        with pytest.raises(ConfigError, match="expected 'minilm'"):
            load_text_encoder(name)


def test_states_and_mask_must_fit() -> None:
    with pytest.raises(ConfigError, match="expected"):
        TextEmbeddings(states=np.zeros((1, 2, 3), np.float32), mask=np.ones((1, 3), np.bool_))


@pytest.mark.slow
def test_transformers_is_imported_only_when_asked_for() -> None:
    code = "import sys, bandtok.lm; sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_missing_transformers_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingDependency, match=r"^transformers is not .*'bandtok\[text\]'$"):
        load_text_encoder("hub:owner/name")


def test_the_extra_that_the_error_names_exists() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    assert set(get_args(Extra)) <= extras.keys()
