"""The Debian packages that hold openly licensed music, and what their own files leave unsaid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class MusicPackage:
    """Where a package keeps its music and what is known of it.

    Attributes:
        name: Debian package.
        music: part of the path below which its music lies.
        license, author: used where the package names none for a track.
        licenses: part of a path -> license, for what the package says in prose; the first that
            occurs in the path holds.
        authors: beginning of a file name -> author, where the package names many at once.
        style: words true of every track.
        drop: file stems left out, each for a reason given beside it.
        keep_seconds: file stem -> seconds; the file repeats itself after that long.
        splits: file stem -> split, where it is not left to chance.
        unseen: keep the whole package out of training.
        stems: sum song, guitar and rhythm of each folder.
    """

    name: str
    music: str
    license: str
    author: str
    style: tuple[str, ...]
    licenses: Mapping[str, str] = field(default_factory=dict)
    authors: Mapping[str, str] = field(default_factory=dict)
    drop: frozenset[str] = frozenset()
    keep_seconds: Mapping[str, float] = field(default_factory=dict)
    splits: Mapping[str, str] = field(default_factory=dict)
    unseen: bool = False
    stems: bool = False


PACKAGES = (
    MusicPackage(
        name="warzone2100-music",
        music="warzone2100/music",
        license="GPL-2+",
        author="Martin Severn",
        style=("electronic", "ambient", "dark"),
        licenses={
            "track3_enhanced": "GPL-2+",
            "aftermath_soundtrack": "GPL-2+ or CC-BY-SA-3.0+",
            "legacy_soundtrack": "GPL-2+ or CC-BY-SA-3.0+",
        },
    ),
    MusicPackage(
        name="ufoai-music",
        music="ufoai/base",
        license="GPL-2+",
        author="UFO:AI team",
        style=("electronic", "soundtrack"),
        authors={
            "Crystan-": 'Christian "Crystan" Hoffmann',
            "David0": "David Reeves (Destructavator)",
            "Marine": '"Marine" Baklund',
            "Psymong": "Simon Green (Psymong)",
            "TheThings-Slippycurb": "Slippycurb",
            "azrael": "azrael1322",
            "karlmacklin": "Karl Macklin",
            "van_": 'Manuel "Vanethian" Marino',
        },
        # Public domain, and so the source of the repository's demo excerpt: never trained on.
        splits={"alBasrahM": "test", "greecei": "test", "turinItalyM": "test"},
    ),
    MusicPackage(
        name="wesnoth-1.16-music",
        music="data/core/music",
        license="GPL-2+",
        author="Battle for Wesnoth project",
        style=("orchestral", "fantasy"),
    ),
    MusicPackage(
        name="supertux-data",
        music="supertux2/music",
        license="GPL-2+",
        author="SuperTux team",
        style=("upbeat", "game"),
        drop=frozenset({"battle_theme"}),  # the same as in flare-game
        # The theme with bells: a copy, so far as learning goes, and so on the same side.
        splits={"christmas_theme": "train"},
    ),
    MusicPackage(
        name="nexuiz-music",
        music="nexuiz/data",
        license="GPL-2+",
        author="Alientrap",
        style=("techno", "electronic"),
    ),
    MusicPackage(
        name="planetblupi-music-ogg",
        music="planetblupi/music",
        license="GPL-3+",
        author="Daniel Roux, EPSITEC SA & Denis Dumoulin",
        style=("game", "synth"),
        keep_seconds={"music000": 152.0, "music001": 176.0, "music002": 152.0, "music003": 120.0},
    ),
    MusicPackage(
        name="colobot-common-sounds",
        music="colobot/music",
        license="GPL-3+",
        author="Daniel Roux, EPSITEC SA & TerranovaTeam",
        style=("synth", "soundtrack"),
    ),
    MusicPackage(
        name="singularity-music",
        music="singularity/music",
        license="CC-BY-SA-3.0",
        author="Maxstack",
        style=("electronic", "ambient"),
    ),
    MusicPackage(
        name="freedroidrpg-data",
        music="sound/music",
        license="GPL-2+",
        author="FreedroidRPG team",
        style=("electronic",),
    ),
    MusicPackage(
        name="drascula-music",
        music="drascula/audio",
        license="Drascula-License",
        author="Alcachofa Soft S.L.",
        style=("adventure", "soundtrack"),
        drop=frozenset({"track30"}),  # the same as track1
    ),
    MusicPackage(
        name="flare-game",
        music="fantasycore/music",
        license="CC-BY-SA-3.0+",
        author="Clint Bellanger and others",
        style=("fantasy", "orchestral"),
        drop=frozenset({"wind_ambient"}),  # a recording of wind, no music
    ),
    MusicPackage(
        name="trackballs-data",
        music="trackballs/music",
        license="GPL-2+",
        author="Marco Göbel; Attila Boros",
        style=("rock", "synth"),
        # Under a license that allows copies only.
        drop=frozenset({"c64revival", "crazy", "eurovision"}),
    ),
    MusicPackage(
        name="starfighter-data",
        music="starfighter/music",
        license="GPL-2+",
        author="Project: Starfighter contributors",
        style=("space", "synth"),
        drop=frozenset({"through_space"}),  # the same as in singularity-music
    ),
    MusicPackage(
        name="fretsonfire-songs-muldjord",
        music="fretsonfire/data/songs",
        license="CC-BY-SA-3.0",
        author="Muldjord",
        style=("metal", "guitar"),
        unseen=True,
        stems=True,
    ),
    MusicPackage(
        name="fretsonfire-songs-sectoid",
        music="fretsonfire/data/songs",
        license="Expat",
        author="Sectoid (Carlos Viola Iborra)",
        style=("rock", "guitar"),
        unseen=True,
        stems=True,
    ),
    MusicPackage(
        name="hyperrogue-music",
        music="hyperrogue/music",
        license="CC-BY-SA-3.0",
        author="Shawn Parrotte",
        style=("ambient", "game"),
    ),
    MusicPackage(
        name="lincity-ng-data",
        music="lincity-ng/music",
        license="GPL-2+",
        author="LinCity-NG team",
        style=("calm", "game"),
    ),
)
