"""What `import bandtok` offers, and how little it loads."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import bandtok

FACES = {"typer", "rich", "gradio", "matplotlib", "tensorboard"}
LEARNING = {"bandtok.adversarial", "bandtok.evaluation", "bandtok.training", "bandtok.cli"}
LIBRARIES = {"torch", "numpy", "transformers", "librosa", "soundfile"}


def loaded_after(program: str) -> set[str]:
    code = f"{program}\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_all_names_are_importable_and_listed() -> None:
    assert bandtok.__all__ == [
        "Tokenizer",
        "MusicModel",
        "GenerationConfig",
        "TokenGrid",
        "Audio",
        "Clip",
        "Region",
        "EncodingJournal",
        "BandTokError",
        "AudioWarning",
        "ClippingWarning",
        "__version__",
    ]
    for name in bandtok.__all__:
        assert getattr(bandtok, name) is not None
    assert dir(bandtok) == sorted(bandtok.__all__)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = bandtok.Nothing  # type: ignore[attr-defined]


def test_import_is_light() -> None:
    assert not loaded_after("import bandtok") & (FACES | LEARNING | LIBRARIES)


def test_using_the_tokenizer_loads_no_face_and_no_training_code() -> None:
    assert not loaded_after("import bandtok; bandtok.Tokenizer") & (FACES | LEARNING)


def test_the_program_starts_without_networks() -> None:
    modules = loaded_after("import bandtok.cli.main")
    assert not modules & {"torch", "transformers", "matplotlib", "librosa", "scipy", "PIL"}


def test_metadata_has_ranges_only() -> None:
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    assert "==" not in re.sub(r"#.*", "", text)
