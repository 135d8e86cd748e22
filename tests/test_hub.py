"""Models on the hub: uploaded to a local stand-in, and loaded from the library's own cache."""

from __future__ import annotations

import shutil
from pathlib import Path

import huggingface_hub
import huggingface_hub.constants
import numpy as np
import pytest

import bandtok
from bandtok.api.tokenizer import Tokenizer
from bandtok.checkpoint import find_model_folder
from bandtok.errors import CheckpointError
from bandtok.hub import model_card

COMMIT = "0" * 40


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of huggingface_hub, without a network."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return folder


@pytest.fixture
def hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub whose uploads appear in the cache, as if they had been fetched."""

    class LocalApi:
        def __init__(self, token: str | None = None) -> None: ...

        def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> None:
            if repo_id.startswith("forbidden/"):
                raise OSError("403 Forbidden\nmore about it")
            repo = cache / ("models--" + repo_id.replace("/", "--"))
            (repo / "refs").mkdir(parents=True, exist_ok=exist_ok)
            (repo / "refs" / "main").write_text(COMMIT)

        def upload_folder(self, *, repo_id: str, folder_path: str, commit_message: str) -> str:
            repo = cache / ("models--" + repo_id.replace("/", "--"))
            shutil.copytree(folder_path, repo / "snapshots" / COMMIT)
            return f"https://hub.example/{repo_id}/commit/{COMMIT}"

    monkeypatch.setattr(huggingface_hub, "HfApi", LocalApi)
    return cache


def test_a_tokenizer_comes_back(hub: Path) -> None:
    original = Tokenizer.from_pretrained("debug", device="cpu")
    assert COMMIT in original.push_to_hub("owner/codec")
    loaded = Tokenizer.from_pretrained("owner/codec", device="cpu")
    assert (loaded.fingerprint, loaded.model_id) == (original.fingerprint, "owner/codec")
    codes = np.random.default_rng(0).integers(0, 64, (1, loaded.num_bands, 3))
    np.testing.assert_array_equal(loaded.decode_codes(codes), original.decode_codes(codes))


def test_a_music_model_comes_back_with_all_its_networks(hub: Path) -> None:
    original = bandtok.MusicModel.from_pretrained("debug", device="cpu")
    original.push_to_hub("owner/music")
    loaded = bandtok.MusicModel.from_pretrained("owner/music", device="cpu")
    assert loaded.parts.keys() == original.parts.keys()
    assert loaded.parts.keys() >= {"tokenizer", "vocoder", "lm"}
    assert loaded.tokenizer.fingerprint == original.tokenizer.fingerprint
    assert loaded.tokenizer.model_id == "owner/music"
    one, other = (model.generate("drums", 0.5, seed=1) for model in (original, loaded))
    np.testing.assert_array_equal(one.grid.codes, other.grid.codes)
    np.testing.assert_array_equal(one.audio.waveform, other.audio.waveform)
    card = (hub / "models--owner--music" / "snapshots" / COMMIT / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: bandtok\n")
    assert 'bandtok.MusicModel.from_pretrained("owner/music")' in card


def test_what_is_not_in_the_cache_is_one_line(cache: Path) -> None:
    with pytest.raises(CheckpointError, match="no such model on the hub") as caught:
        Tokenizer.from_pretrained("owner/absent")
    assert "\n" not in str(caught.value)


def test_refused_uploads_are_one_line(hub: Path) -> None:
    model = Tokenizer.from_pretrained("debug", device="cpu")
    with pytest.raises(CheckpointError, match=r"'forbidden/x': 403 Forbidden$"):
        model.push_to_hub("forbidden/x")
    unnamed = Tokenizer(model.codec, "mine")
    with pytest.raises(CheckpointError, match="not loaded by name"):
        unnamed.push_to_hub("owner/x")


def test_the_card_has_the_parts_and_states_only_a_license_they_share() -> None:
    kinds = ("tokenizer", "vocoder", "lm")
    cards = {kind: (find_model_folder(kind, None) / "README.md").read_text() for kind in kinds}
    card = model_card(cards, "owner/name")
    assert "license: apache-2.0" in card.split("---")[1]
    assert "pipeline_tag: text-to-audio" in card
    assert "## BandTok music language model" in card
    assert card.count("\n# ") == 1
    cards["lm"] = "---\nlicense: cc-by-4.0\n---\n# lm\n"
    assert "license:" not in model_card(cards, "owner/name").split("---")[1]
