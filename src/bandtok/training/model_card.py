"""RUN/model/README.md: what a trained network is, what it was trained on, and what was measured."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from bandtok.checkpoint import CARD_FILE, CONFIG_FILE
from bandtok.data.manifest import Track
from bandtok.data.shards import TokenCorpus
from bandtok.tokens.atomic import write_text
from bandtok.training.loop import LoopResult
from bandtok.training.run_record import RunRecord

_NUMBERS_SHOWN = 12


def describe_tracks(folder: Path, tracks: Sequence[Track]) -> str:
    """Return one line about the music of a folder: hours, tracks and licenses by their share."""
    trained = [track for track in tracks if track.split == "train"]
    seconds = sum(track.seconds for track in trained)
    licenses: Counter[str] = Counter()
    for track in trained:
        licenses[track.license or "license not stated"] += round(track.seconds)
    named = ", ".join(
        f"{name} {share / max(seconds, 1):.0%}" for name, share in licenses.most_common()
    )
    return f"`{folder.name}`: {seconds / 3600:.2f} h, {len(trained)} tracks ({named})"


def describe_shards(corpus: TokenCorpus) -> str:
    """Return one line about a folder of token shards: hours and tracks."""
    trained = [shard for shard in corpus.shards if shard.split == "train"]
    hours = sum(shard.num_frames for shard in trained) / corpus.tokenizer.frame_rate / 3600
    tracks = len({shard.path for shard in trained})
    return f"`{corpus.folder.name}`: {hours:.2f} h of tokens, {tracks} tracks, variants counted"


def write_cards(
    out: Path,
    record: RunRecord,
    data: Sequence[str],
    changed: Mapping[str, object],
    result: LoopResult,
) -> list[Path]:
    """Write a card beside each network of a run.

    Args:
        out: the run folder.
        record: of the run.
        data: a line per folder of data.
        changed: settings that differ from the recipe's, by path.
        result: of the run.
    """
    options = [f"--set {shlex.quote(f'{path}={_text(value)}')}" for path, value in changed.items()]
    command = " ".join(
        ["bandtok train", record.kind, record.recipe, "--data DATA --output RUN", *options]
    )
    rows = [f"| {name} | {value:.4g} |" for name, value in result.validation.items()][
        :_NUMBERS_SHOWN
    ]
    init = record.settings.get("init") or "random weights"
    text = "\n".join(
        [
            f"# {record.kind} ({record.recipe})",
            "",
            f"Trained for {result.step} steps from {init} with",
            "",
            f"    {command}",
            "",
            "**Data:** " + "; ".join(data) + ". The licenses are what the files say, nothing more.",
            "",
            "| validation | |",
            "| --- | --- |",
            *rows,
            "",
        ]
    )
    cards = [folder.with_name(CARD_FILE) for folder in sorted((out / "model").rglob(CONFIG_FILE))]
    for card in cards:
        write_text(card, text)
    return cards


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
