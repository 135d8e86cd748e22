"""Every command of tools/build_bundled.sh is one that the programs accept."""

from __future__ import annotations

import importlib.util
import os
import shlex
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from tests.parsing import parse

from bandtok.cli.main import app
from bandtok.training.find_recipe import recipe_modules
from bandtok.training.settings import override

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools" / "build_bundled.sh"
WEIGHTS = {"tokenizer", "vocoder", "lm", "reranker", "harmony", "text_encoder"}


def commands(work: Path, *steps: str) -> list[list[str]]:
    environment = {"DRY_RUN": "1", "PYTHON": "python", "WORK": str(work)}
    done = subprocess.run(
        ["bash", SCRIPT, *steps],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return [shlex.split(line) for line in done.stdout.splitlines()]


def test_all_commands_parse(tmp_path: Path) -> None:
    found = commands(tmp_path)
    made = set()
    for words in found:
        program, arguments = words[2], words[3:]
        assert words[:2] == ["python", "-m"]
        for word in arguments:  # folders that earlier commands make
            if word.startswith(str(tmp_path)):
                Path(word).mkdir(parents=True, exist_ok=True)
        if program == "bandtok":
            parse(app, arguments)
        elif program.startswith("research."):
            module = importlib.import_module(f"{program}.__main__")
            parse(module.app, arguments)
        else:
            assert importlib.util.find_spec(program) is not None
        if program == "bandtok" and arguments[0] == "train":
            settings = [b for a, b in pairwise(arguments) if a == "--set"]
            recipe = getattr(recipe_modules()[arguments[1]], arguments[2])()
            override(recipe, dict(one.split("=", 1) for one in settings))
        made |= {Path(word).name for word in arguments if f"{tmp_path}/weights/" in word}
    assert made == WEIGHTS


def test_an_interrupted_training_resumes(tmp_path: Path) -> None:
    (tmp_path / "tokenizer-1" / "state").mkdir(parents=True)
    first, second = commands(tmp_path, "tokenizer")
    assert "--resume" in first
    assert "--resume" not in second


def test_an_unknown_step_is_refused(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        commands(tmp_path, "tokenizer", "magic")
    assert caught.value.returncode == 2
    assert "expected corpora, tokenizer" in caught.value.stderr
