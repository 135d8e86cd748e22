"""Tracks to the table of who made what under which license, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bandtok.data.manifest import SPLITS, Track

ATTRIBUTION_NAME = "attribution.md"
_INTRODUCTION = """# Attribution: the open-music corpus

Written by `bandtok data openmusic`. The models are trained on the tracks below, taken from Debian
packages. The repository holds none of this audio but the public-domain demo excerpt. Splits:
*train* taught the models, *valid* chose settings, *test* and *unseen* (whole packages) are only
for measuring.
"""


def attribution_table(tracks: Sequence[Track], versions: Mapping[str, str]) -> str:
    """Return Markdown: one section a package with its version, one row a track."""
    packages = dict.fromkeys(track.package for track in tracks)
    parts = [_INTRODUCTION, _totals(tracks)]
    for package in packages:
        own = [track for track in tracks if track.package == package]
        parts.append(f"## {package} {versions.get(package, '')}".rstrip() + "\n\n" + _rows(own))
    return "\n".join(parts)


def _totals(tracks: Sequence[Track]) -> str:
    lines = ["| split | tracks | hours |", "| --- | ---: | ---: |"]
    for split in SPLITS:
        own = [track.seconds for track in tracks if track.split == split]
        lines.append(f"| {split} | {len(own)} | {sum(own) / 3600:.2f} |")
    return "\n".join(lines) + "\n"


def _rows(tracks: Sequence[Track]) -> str:
    lines = ["| track | file | author | license | split |", "| --- | --- | --- | --- | --- |"]
    for track in tracks:
        name = track.path.rsplit("/", 1)[-1]
        cells = (track.title, name, track.author, track.license, track.split)
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
