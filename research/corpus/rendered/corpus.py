"""Tunes and soundfonts to a corpus of rendered pieces: audio, manifest, attributes, attribution.

    OUT/audio/<style>/<seed>-<number>.flac
    OUT/pieces.jsonl      one line a rendered piece; what is in it is not rendered again
    OUT/manifest.jsonl, OUT/attributes.jsonl, OUT/attribution.md

A piece depends on (seed, number) alone: a longer corpus contains the shorter one.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bandtok.data.bandwidth import measure_bandwidth
from bandtok.data.manifest import MANIFEST_NAME, Track, save_manifest
from bandtok.data.segments import Segment, save_attributes, segment_content, segment_from
from bandtok.errors import DataError
from bandtok.tokens.atomic import write_text
from research.corpus.attribution import ATTRIBUTION_NAME
from research.corpus.rendered.abc import Tune
from research.corpus.rendered.arrange import arrange
from research.corpus.rendered.plan import PiecePlan, plan_piece
from research.corpus.rendered.score import require_mido
from research.corpus.rendered.sources import (
    TUNES_LICENSE,
    TUNES_PACKAGE,
    Sources,
    TuneEntry,
    fetch_sources,
)
from research.corpus.rendered.styles import LOUD, NORMAL, SOFT, STYLES, Style
from research.corpus.rendered.synthesis import SAMPLE_RATE, render, require_fluidsynth
from research.corpus.rendered.truth import known_segment

PIECES_NAME = "pieces.jsonl"
PACKAGE_NAME = "rendered"
_AUTHOR = "traditional"
_LOUDNESS_DB = {SOFT: (-31.0, -26.0), NORMAL: (-22.0, -18.0), LOUD: (-15.0, -11.5)}
_METERS = {"4/4": ("4/4", "C", "C|", "2/2", "2/4"), "3/4": ("3/4",), "6/8": ("6/8",)}
_TRIES = 20
_SAVE_SECONDS = 60.0

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A rendered piece: its number, the tune it was made from, where it is, what is known of it."""

    seed: int
    number: int
    tune: str
    track: Track
    segment: Segment


@dataclass(frozen=True, kw_only=True)
class RenderedCorpus:
    """What a build left: its tracks, and one line for each piece left out."""

    tracks: list[Track]
    left_out: list[str]


def build_rendered(
    folder: str | os.PathLike[str],
    *,
    hours: float,
    seed: int = 0,
    jobs: int = 1,
    styles: Sequence[str] = (),
    packages_from: str | os.PathLike[str] | None = None,
    on_progress: Progress | None = None,
) -> RenderedCorpus:
    """Render, or finish rendering, a corpus.

    Args:
        folder: gets packages/, soundfonts/, audio/ and the files named above.
        hours: of music, at least.
        seed: of everything drawn by chance.
        jobs: pieces rendered at the same time.
        styles: only pieces of these styles, all of them if empty; a corpus of its own, for a
            folder of its own.
        packages_from: a folder of .deb and .whl files to use before anything is fetched.
        on_progress: called with (name of the step, done, in all).

    Raises:
        DataError: if a program or package is missing, a number is out of range, or there is no such
            style.
    """
    if not hours > 0 or jobs < 1:
        raise DataError(f"got {hours} hours and {jobs} jobs; expected both above 0")
    chosen = styles_named(styles)
    require_fluidsynth()
    require_mido()
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    sources = fetch_sources(root, Path(packages_from) if packages_from else None)
    plans = planned(seed, hours, chosen)
    done = {piece.number: piece for piece in _read_pieces(root) if piece.seed == seed}
    missing = [plan for plan in plans if plan.number not in done]
    left_out: list[str] = []
    report = on_progress or (lambda step, ready, total: None)
    saved = time.monotonic()
    for plan, outcome in _rendered(missing, sources, root, seed, jobs):
        if isinstance(outcome, Piece):
            done[plan.number] = outcome
            _append(root / PIECES_NAME, outcome)
        else:
            left_out.append(outcome)
        report("rendering", len(done) + len(left_out), len(plans))
        if time.monotonic() - saved > _SAVE_SECONDS:
            saved = time.monotonic()
            _describe(root, plans, done, sources)
    return RenderedCorpus(tracks=_describe(root, plans, done, sources), left_out=left_out)


def styles_named(names: Sequence[str]) -> tuple[Style, ...]:
    """Return the styles of these names, all of them for none.

    Raises:
        DataError: if there is no such style.
    """
    known = [style.name for style in STYLES]
    for name in names:
        if name not in known:
            raise DataError(f"got style {name!r}; expected one of {', '.join(known)}")
    return tuple(style for style in STYLES if not names or style.name in names)


def planned(seed: int, hours: float, styles: Sequence[Style] = STYLES) -> list[PiecePlan]:
    """Return the plans of the first pieces that together last so long."""
    plans: list[PiecePlan] = []
    seconds = 0.0
    while seconds < hours * 3600:
        plans.append(plan_piece(seed, len(plans), styles))
        seconds += plans[-1].seconds
    return plans


def choose_tune(plan: PiecePlan, tunes: Sequence[TuneEntry]) -> tuple[TuneEntry, Tune]:
    """Draw a tune in the plan's meter.

    Raises:
        DataError: if none of those drawn can be read.
    """
    rng = np.random.default_rng((plan.seed, 1))
    fitting = [entry for entry in tunes if entry.meter in _METERS[plan.meter]]
    for index in rng.integers(len(fitting), size=_TRIES) if fitting else ():
        tune = fitting[index].read()
        if tune is not None and tune.meter == plan.meter:
            return fitting[index], tune
    raise DataError(f"found no tune in {plan.meter} among {len(fitting)}; expected a readable one")


def render_piece(plan: PiecePlan, sources: Sources, root: Path, seed: int) -> Piece:
    """Render one piece below `root`.

    Raises:
        DataError: if it cannot be.
    """
    entry, tune = choose_tune(plan, sources.tunes)
    score = arrange(tune, plan)
    path = f"audio/{plan.style}/{seed}-{plan.number:05d}.flac"
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    wanted = np.random.default_rng((plan.seed, 3)).uniform(*_LOUDNESS_DB[plan.dynamics])
    soundfont = sources.soundfonts[plan.soundfont]
    seconds, loudness_db = render(
        score, soundfont, target, loudness_db=float(wanted), room=plan.room
    )
    segment = known_segment(plan, score, tune, seconds, loudness_db)
    track = Track(
        path=path,
        seconds=round(seconds, 3),
        sample_rate=SAMPLE_RATE,
        channels=2,
        bandwidth_hz=measure_bandwidth(target),
        author=_AUTHOR,
        license=TUNES_LICENSE,
        package=PACKAGE_NAME,
        style=list(segment.words["style"]),
        split="unseen" if plan.held_out else entry.split,
    )
    return Piece(
        seed=seed,
        number=plan.number,
        tune=f"{tune.title} ({tune.source})",
        track=track,
        segment=segment,
    )


def _rendered(
    plans: Sequence[PiecePlan], sources: Sources, root: Path, seed: int, jobs: int
) -> Iterator[tuple[PiecePlan, Piece | str]]:
    """Yield each plan with its piece, or with a line that says why there is none."""
    waiting = iter(plans)
    with ThreadPoolExecutor(jobs) as pool:  # the work is done by fluidsynth, in its own process
        running: dict[Future[Piece], PiecePlan] = {}
        try:
            while True:
                for plan in waiting:
                    running[pool.submit(render_piece, plan, sources, root, seed)] = plan
                    if len(running) >= 2 * jobs:
                        break
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    plan = running.pop(future)
                    try:
                        yield plan, future.result()
                    except DataError as error:
                        yield plan, f"piece {plan.number} ({plan.style}): {error}"
        finally:
            for future in running:
                future.cancel()


def _describe(
    root: Path, plans: Sequence[PiecePlan], done: dict[int, Piece], sources: Sources
) -> list[Track]:
    """Write manifest, attributes and attribution of what is there."""
    pieces = [done[plan.number] for plan in plans if plan.number in done]
    tracks = [piece.track for piece in pieces]
    if tracks:
        save_attributes(root, ((piece.track.path, [piece.segment]) for piece in pieces))
        write_text(root / ATTRIBUTION_NAME, attribution(sources, tracks))
        save_manifest(tracks, root / MANIFEST_NAME)
    return tracks


def attribution(sources: Sources, tracks: Sequence[Track]) -> str:
    """Return Markdown: what the corpus was made from, under which licenses."""
    lines = [
        "# Attribution: the rendered corpus",
        "",
        "Written by `bandtok data rendered`: tunes in the public domain, arranged by rule and",
        "played with free soundfonts.",
        "",
        "| package | version | license | used for |",
        "| --- | --- | --- | --- |",
    ]
    for package, (version, license) in sources.packages.items():
        use = "tunes: Aird, O'Neill, Ryan" if package == TUNES_PACKAGE else "soundfont"
        lines.append(f"| {package} | {version} | {license} | {use} |")
    return "\n".join(lines) + "\n"


def _read_pieces(root: Path) -> Iterator[Piece]:
    """Yield the pieces of the log whose files are there; a half-written line is passed over."""
    file = root / PIECES_NAME
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
        try:
            content: dict[str, Any] = json.loads(line)
            piece = Piece(
                seed=content["seed"],
                number=content["number"],
                tune=content["tune"],
                track=Track(**content["track"]),
                segment=segment_from(content["segment"]),
            )
        except (ValueError, KeyError, TypeError):
            continue
        if (root / piece.track.path).exists():
            yield piece


def _append(file: Path, piece: Piece) -> None:
    content = {
        "seed": piece.seed,
        "number": piece.number,
        "tune": piece.tune,
        "track": dataclasses.asdict(piece.track),
        "segment": segment_content(piece.segment),
    }
    line = json.dumps(content, ensure_ascii=False) + "\n"
    with file.open("ab+") as log:
        if log.tell():
            log.seek(-1, os.SEEK_END)
            if log.read(1) != b"\n":  # a run was stopped in the middle of a line
                line = "\n" + line
        log.write(line.encode())
