"""Where rows are trained and measured, each once: the runs folder.

    RUNS/SCALE/<row>/            a training
    RUNS/SCALE/shards/<row>-<hours>/   a corpus tokenized by a tokenizer
    RUNS/SCALE/measures/<name>.json    what was measured, and how long it took
    RUNS/SCALE/corpus.json       which corpus all of it belongs to

What is there is read, not made again. Knows no experiment.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bandtok.api.tokenizer import Tokenizer
from bandtok.data.shards import INDEX_NAME, TokenCorpus
from bandtok.data.tokenize import tokenize_corpus
from bandtok.errors import ConfigError, DataError
from bandtok.lm.model import MusicLM
from bandtok.model_specs import LM_SPEC
from bandtok.tokens import atomic
from bandtok.torch_checkpoint import load_network
from bandtok.training.run import RunReport
from research.claims.corpora import Corpus
from research.claims.rows import (
    LanguageModelRow,
    Row,
    TokenizerRow,
    size_name,
    with_needs,
)
from research.claims.scales import Scale
from research.claims.training import DONE, train_once, working_alone

Say = Callable[[str], None]
Measured = dict[str, Any]
_SHARDS = "shards"
_VERSION = 2
"""Of what measures hold; those of another are made again."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A row that is trained.

    Attributes:
        name: of the row.
        folder: its run.
        steps, minutes: of training.
        validation: what the run logged last.
    """

    name: str
    folder: Path
    steps: int
    minutes: float
    validation: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Held-out music as tokens.

    Attributes:
        paths: of the tracks.
        grids: int [rows, frames] of each.
        frame_rate: frames per second.
        codebook_size: of the tokens.
    """

    paths: list[str]
    grids: list[np.ndarray]
    frame_rate: float
    codebook_size: int


class RunStore:
    """Trains and measures for all experiments of one scale and one corpus.

    Args:
        corpus: the music.
        runs: folder for everything that is kept.
        scale: the budget.
        say: given one line about what begins.
        report: progress of trainings.

    Raises:
        ConfigError: if `runs` belongs to another corpus.
    """

    def __init__(
        self,
        corpus: Corpus,
        runs: Path,
        scale: Scale,
        say: Say | None = None,
        report: RunReport | None = None,
    ) -> None:
        self.corpus, self.scale = corpus, scale
        self.folder = runs.resolve() / scale.name
        self._say = say or (lambda line: None)
        self._report = report
        self._minutes: dict[str, float] = {}
        _claim(self.folder, corpus)

    def begin(self) -> None:
        """Forget what was used so far, so that `minutes` counts one experiment."""
        self._minutes = {}

    @property
    def minutes(self) -> float:
        """Minutes of all trainings and measures used since `begin`, whenever they were made."""
        return sum(self._minutes.values())

    def trained(self, row: Row) -> Trained:
        """Return a row, trained now if it was not before, and what it builds on.

        Raises:
            ConfigError: if the runs folder holds one of the name with other settings.
            TrainingError: if the training was stopped.
        """
        for needed in row.needs:
            self.trained(needed)
        out = self.folder / row.name
        if not (out / DONE).exists():
            self._say(f"training {row.name}")
        numbers = train_once(
            row.kind,
            row.budget.recipe,
            data=self._data(row),
            out=out,
            settings=self._settings(row),
            init=str(self.folder / row.start.name)
            if isinstance(row, TokenizerRow) and row.start
            else None,
            report=self._report,
            keep_state=False,
        )
        self._minutes[row.name] = float(numbers["minutes"])
        measures = {k: float(v) for k, v in numbers.items() if isinstance(v, int | float)}
        return Trained(
            name=row.name,
            folder=out,
            steps=int(numbers["step"]),
            minutes=float(numbers["minutes"]),
            validation=measures,
        )

    def tokenizer(self, row: TokenizerRow) -> Tokenizer:
        """Return a trained row's tokenizer; it has no vocoder of its own, see `clips.sound_of`."""
        return Tokenizer.from_pretrained(self.trained(row).folder, device="cpu")

    def language_model(self, row: LanguageModelRow) -> MusicLM:
        """Return a trained row's language model.

        Raises:
            ConfigError: if it learned from a tokenizer that was trained anew since.
        """
        trained = self.trained(row)
        network: MusicLM = load_network(LM_SPEC, trained.folder)
        codes = self.shards(row.tokenizer, row.hours).tokenizer.fingerprint
        if network.config.tokenizer_fingerprint != codes:
            raise ConfigError(
                f"{trained.folder} learned from another {row.tokenizer.name}; remove it to train "
                "it again"
            )
        return network

    def shards(self, row: TokenizerRow, hours: float | None) -> TokenCorpus:
        """Return the corpus, with so much training music, tokenized by a row."""
        name = f"{row.name}-{size_name(hours)}"
        folder = self.folder / _SHARDS / name
        self.trained(row)
        with working_alone(folder):
            if not (folder / INDEX_NAME).exists():
                self._measure_file(f"{_SHARDS}-{name}").unlink(missing_ok=True)
            self.measured(f"{_SHARDS}-{name}", row, {}, lambda: self._tokenize(row, hours, folder))
        return TokenCorpus(folder)

    def held_out(self, row: TokenizerRow, hours: float | None) -> HeldOut:
        """Return the held-out tracks as a row's tokens."""
        corpus = self.shards(row, hours)
        shards = corpus.split(self.corpus.held_out)
        if not shards:
            raise DataError(f"{corpus.folder} has no shards of split {self.corpus.held_out!r}")
        return HeldOut(
            paths=[shard.path for shard in shards],
            grids=[np.asarray(corpus.codes(shard)).astype(np.int64) for shard in shards],
            frame_rate=corpus.tokenizer.frame_rate,
            codebook_size=corpus.tokenizer.codebook_size,
        )

    def measured(
        self,
        name: str,
        row: Row,
        settings: Mapping[str, Any],
        measure: Callable[[], Measured],
    ) -> Measured:
        """Return what `measure` gives, read from the runs folder if it is there.

        Args:
            name: of the file.
            row: what is measured; trained first if it is not.
            settings: what it depends on beside the row. When either changes it is measured anew.
            measure: returns plain JSON types.
        """
        self.trained(row)
        path = self._measure_file(name)
        wanted = {"version": _VERSION, "of": self._stamp(row), **settings}
        wanted = json.loads(json.dumps(wanted))
        if path.exists():
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["settings"] == wanted:
                self._minutes[f"measure-{name}"] = float(content["minutes"])
                return dict(content["found"])
        kind, _, of = name.partition("-")
        self._say(f"tokenizing for {of}" if kind == _SHARDS else f"measuring {name}")
        began = time.monotonic()
        found = measure()
        minutes = (time.monotonic() - began) / 60
        content = {"settings": wanted, "minutes": minutes, "found": found}
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(path, json.dumps(content) + "\n")
        self._minutes[f"measure-{name}"] = minutes
        return dict(json.loads(json.dumps(found)))

    def _measure_file(self, name: str) -> Path:
        return self.folder / "measures" / f"{name}.json"

    def _data(self, row: Row) -> Path:
        if isinstance(row, LanguageModelRow):
            return self.shards(row.tokenizer, row.hours).folder
        return self.corpus.view(row.hours)

    def _settings(self, row: Row) -> dict[str, str]:
        settings = {**row.budget.settings, **row.changes, "loop.seed": str(row.seed)}
        if isinstance(row, LanguageModelRow):
            settings["tokenizer"] = str(self.folder / row.tokenizer.name)
        return settings

    def _tokenize(self, row: TokenizerRow, hours: float | None, folder: Path) -> Measured:
        splits = dict.fromkeys(("train", "valid", self.corpus.held_out))
        corpus = tokenize_corpus(
            self.corpus.view(hours),
            self.tokenizer(row),
            folder,
            splits=tuple(splits),
            warn=self._say,
        )
        return {"shards": len(corpus.shards)}

    def _stamp(self, row: Row) -> str:
        """Return a hash over how a row and what it builds on came out."""
        parts = [
            (self.folder / one.name / DONE).read_text(encoding="utf-8") for one in with_needs([row])
        ]
        return hashlib.sha256("".join(parts).encode()).hexdigest()[:24]


def _claim(folder: Path, corpus: Corpus) -> None:
    facts = folder / "corpus.json"
    wanted = {"corpus": corpus.identity, "tracks": len(corpus.tracks)}
    if facts.exists() and json.loads(facts.read_text(encoding="utf-8")) != wanted:
        raise ConfigError(f"{folder} holds runs on another corpus; name another folder for runs")
    folder.mkdir(parents=True, exist_ok=True)
    atomic.write_text(facts, json.dumps(wanted) + "\n")
