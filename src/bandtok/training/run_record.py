"""RUN/recipe.json: what a run is trained with, and what was changed when it was resumed.

{"kind": ..., "recipe": ..., "settings": {path: value}, "data": [...],
 "changes": [{"step": ..., path: [before, after]}]}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bandtok.errors import CheckpointError, ConfigError
from bandtok.tokens.atomic import write_text
from bandtok.training.settings import describe, override, restored

RECORD_NAME = "recipe.json"


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The record of a run.

    Attributes:
        kind, recipe: of the network and of the settings it began with.
        settings: every setting by dotted path, as it is now.
        data: folders of the data.
        changes: one entry per time that a setting was changed: the step, and each path with the
            values before and after.
    """

    kind: str
    recipe: str
    settings: Mapping[str, Any]
    data: list[str]
    changes: list[dict[str, Any]] = field(default_factory=list)

    def save(self, out: Path) -> None:
        """Write it into a run folder, atomically."""
        write_text(out / RECORD_NAME, json.dumps(vars(self), indent=2) + "\n")

    def changed(self, other: RunRecord) -> dict[str, list[Any]]:
        """Return what another record of this run changes: path -> [before, after]."""
        ours, theirs = ({**one.settings, "data": one.data} for one in (self, other))
        ours, theirs = json.loads(json.dumps([ours, theirs]))  # tuples become lists
        return {
            path: [ours.get(path), value]
            for path, value in theirs.items()
            if ours.get(path) != value
        }

    def continued(self, other: RunRecord, step: int) -> RunRecord:
        """Return the record of this run that goes on as `other` from a step on."""
        entry = {"step": step, **self.changed(other)}
        return replace(other, changes=[*self.changes, entry])


def load_record(out: Path) -> RunRecord | None:
    """Return the record of a run folder, None if there is none.

    Raises:
        CheckpointError: if it is damaged.
    """
    return load_record_file(out / RECORD_NAME)


def load_record_file(file: Path) -> RunRecord | None:
    """Return the record in a file; "kind", "recipe" and "settings" must be there."""
    if not file.exists():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        content.setdefault("data", [])
        return RunRecord(**content)
    except (ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{file} is no record of a run: {error}; start a new run") from None


def resumed_settings(
    record: RunRecord | None, recipe: Any, settings: Mapping[str, str], out: Path
) -> Any:
    """Return the recipe that a run goes on with: its own settings and those that are changed.

    A run without a record has those of the recipe.

    Raises:
        ConfigError: if a setting of the run is not one of the recipe's, or a change is not valid.
    """
    if record is None:
        return override(recipe, settings)
    unknown = sorted(set(record.settings) - set(describe(recipe)))
    if unknown:
        raise ConfigError(
            f"{out / RECORD_NAME} has setting {unknown[0]!r}, which recipe {record.recipe!r} does "
            "not have; resume with the version that began the run, or start a new one"
        )
    return override(restored(recipe, record.settings), settings)
