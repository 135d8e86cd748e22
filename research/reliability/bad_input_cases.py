"""The table of bad inputs: what the program is given, and the exit code it owes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from research.reliability import bad_files as bad
from research.reliability.bad_files import Maker

LONG_NAME = "n" * 300


@dataclass(frozen=True, kw_only=True)
class Case:
    """One call of the program.

    Attributes:
        what: the input in words.
        make: makes the input.
        verb: command.
        exit_code: that the program owes.
        output: name of the output in the case's folder, or an absolute path.
        options: more arguments.
        stderr_lines: that it owes; None for one if it fails and none if not.
        root_too: whether a superuser meets the difficulty as well.
        room: bytes that a file may have, None for no limit.
    """

    what: str
    make: Maker
    verb: str = "encode"
    exit_code: int = 1
    output: str = "out.btk"
    options: tuple[str, ...] = field(default=())
    stderr_lines: int | None = None
    root_too: bool = True
    room: int | None = None


def cases() -> Iterator[Case]:
    """Yield every case."""
    yield from _declared_sizes()
    yield from _formats()
    yield from _not_audio()
    yield from _not_files()
    yield from _names()
    yield from _outputs()
    yield from _folders()
    yield from _token_files()


def _declared_sizes() -> Iterator[Case]:
    huge = 2**32 - 1
    yield _case(
        "wav that says 4 GB and holds 100 bytes", "a.wav", bad.wav(said=huge, data=b"\1" * 100), 0
    )
    yield _case("wav that says 0 bytes and holds 2,000", "a.wav", bad.wav(said=0), 0)
    for total, what in ((0, "unknown"), (1, "1 sample"), (2**36 - 1, "2^36 - 1 samples")):
        code = 0 if total < 2 else 1
        yield _case(f"flac whose total is {what}", "a.flac", bad.flac_with_total(total), code)
    yield _case("wav of 0 channels", "a.wav", bad.wav(channels=0))
    yield _case("wav of 65,535 channels", "a.wav", bad.wav(channels=65535))
    yield _case("wav of 65 channels", "a.wav", bad.wav(channels=65, data=bytes(65 * 200)))
    for rate in (0, 1, 999, 768_001, huge):
        yield _case(f"wav of {rate} Hz", "a.wav", bad.wav(sample_rate=rate))
    yield _case("wav of 0 bits a sample", "a.wav", bad.wav(bits=0))
    yield _case("wav of format tag 65,535", "a.wav", bad.wav(tag=65535))


def _formats() -> Iterator[Case]:
    good = (
        ("0 samples", bad.wav(data=b"")),
        ("1 sample", bad.wav(data=bytes(2))),
        ("32 channels", bad.wav(channels=32, data=bytes(64 * 3000))),
        ("192 kHz", bad.sound("WAV", "PCM_16", sample_rate=192_000)),
        ("8 kHz", bad.sound("WAV", "PCM_16", sample_rate=8_000)),
        ("8 bits", bad.sound("WAV", "PCM_U8")),
        ("24 bits", bad.sound("WAV", "PCM_24")),
        ("64-bit floats", bad.sound("WAV", "DOUBLE")),
        ("an odd number of data bytes", bad.wav(data=bytes(2001))),
    )
    for what, data in good:
        yield _case(f"wav of {what}", "a.wav", data, 0)
    for what, values in (("NaN", [0.0, float("nan")]), ("infinity", [float("inf"), 0.0])):
        yield _case(f"float wav with {what}", "a.wav", bad.floats(values))
    yield _case("float wav with 10^30", "a.wav", bad.floats([1e30, -1e30]))
    yield _case("64-bit float wav with 10^300", "a.wav", bad.floats([1e300], "<f8"))
    for verb, data in (("wav with NaN", bad.floats([float("nan")])), ("wav of 0 samples", b"")):
        yield Case(
            what=verb,
            make=bad.file("a.wav", data or bad.wav(data=b"")),
            verb="reconstruct",
            exit_code=1 if data else 0,
            output="out.wav",
        )


def _not_audio() -> Iterator[Case]:
    yield _case("empty file named .wav", "a.wav", b"")
    yield _case("text named .wav", "a.wav", b"this is no sound at all\n" * 50)
    yield _case("only `RIFF`", "a.wav", b"RIFF")
    yield _case("zip in a zip named .wav", "a.wav", bad.archive("zip"))
    yield _case("zip in a tar.gz named .wav", "a.wav", bad.archive("tar"))
    yield _case("token file named .wav", "a.wav", bad.tokens())
    yield _case("mp3 named .wav", "a.wav", bad.sound("MP3", "MPEG_LAYER_III"), 0)
    yield _case("wav named .mp3", "a.mp3", bad.sound("WAV", "PCM_16"), 0)
    yield _case("wav named .raw", "a.raw", bad.sound("WAV", "PCM_16"))
    yield _case("flac cut in the middle", "a.flac", bad.sound("FLAC", "PCM_16")[:9000])
    yield _case("1 MB of zeros named .mp3", "a.mp3", bytes(10**6))


def _not_files() -> Iterator[Case]:
    for verb, suffix, output in (
        ("encode", "wav", "out.btk"),
        ("reconstruct", "flac", "out.wav"),
        ("decode", "btk", "out.wav"),
    ):
        name = f"a.{suffix}"
        odd: list[tuple[str, Maker]] = [
            ("no such file", bad.nothing(name)),
            ("named pipe", bad.pipe(name)),
            ("symbolic link to itself", bad.link(name, name)),
            ("symbolic link to nothing", bad.link(name, "gone")),
            ("link to /dev/zero", bad.link(name, "/dev/zero")),
            ("link to /dev/full", bad.link(name, "/dev/full")),
            ("folder with the name of a file, empty", bad.folder(name, {})),
            ("name of 300 letters", bad.nothing(f"{LONG_NAME}.{suffix}")),
        ]
        for what, make in odd:
            yield Case(what=what, make=make, verb=verb, output=output)
        secret = bad.unreadable(name, b"x")
        yield Case(
            what="file nobody may read", make=secret, verb=verb, output=output, root_too=False
        )


def _names() -> Iterator[Case]:
    data = bad.sound("WAV", "PCM_16")
    for what, name in (
        ("name with a line break", "a\nb.wav"),
        ("name with terminal commands", "\x1b[2Ja\x07.wav"),
        ("name beyond ASCII", "Übung №1 日本 🎵.wav"),
        ("name with blanks and quotes", " a 'b\" $(c).wav"),
        ("name that is no UTF-8", "\udcff\udc80.wav"),
        ("name of 250 letters", "n" * 246 + ".wav"),
    ):
        yield _case(what, name, data, 0)
        yield _case(f"{what}, no audio inside", name, b"text")
    dash = bad.file("-a.wav", data)
    yield Case(what="name that begins with a dash", make=dash, exit_code=0)
    yield Case(what="an unknown option", make=dash, options=("--nonsense",), exit_code=2)


def _outputs() -> Iterator[Case]:
    data = bad.sound("WAV", "PCM_16")
    song = bad.file("a.wav", data)
    over = ("--overwrite",)
    yield Case(
        what="output is the input",
        make=song,
        verb="reconstruct",
        output="a.wav",
        options=over,
        exit_code=2,
    )
    yield Case(what="output of an unknown kind", make=song, output="out.xyz", exit_code=2)
    yield Case(what="output inside a file", make=song, output="a.wav/out.btk")
    yield Case(what="output in /proc", make=song, output="/proc/out.btk")
    yield Case(what="output name of 300 letters", make=song, output=f"{LONG_NAME}.btk")
    for suffix in (".wav", ".flac", ".ogg", ".mp3"):
        yield Case(
            what=f"no room for the {suffix}",
            make=bad.debug_grid,
            verb="decode",
            output=f"out{suffix}",
            room=1000,
        )
    yield Case(what="no room for the tokens", make=song, room=50)
    yield Case(
        what="decoded over the tokens",
        make=bad.debug_grid,
        verb="decode",
        output="good.btk",
        exit_code=2,
    )


def _folders() -> Iterator[Case]:
    good = bad.sound("WAV", "PCM_16")
    many = {f"{index:04}.wav": b"" for index in range(1000)}
    for what, files, lines in (
        ("folder of hidden files only", {".a.wav": good, ".b/c.wav": good}, 1),
        ("folder of text files only", {"a.txt": b"x"}, 1),
        ("folder with 1,000 empty files", many, 1000),
        ("folder with one good and one bad file", {"a.wav": good, "b.wav": b"x"}, 1),
        ("folder with a.wav and a.flac", {"a.wav": good, "a.flac": good}, 1),
    ):
        make = bad.folder("in", files)
        yield Case(what=what, make=make, output="out", stderr_lines=lines)
    yield Case(
        what="a folder, and a file in the output's way",
        make=bad.folder("in", {"a.wav": good}),
        output="in/a.wav",
        exit_code=2,
    )


def _token_files() -> Iterator[Case]:
    damaged = bad.tokens()[:-30]
    for what, data in (
        ("empty token file", b""),
        ("wav named .btk", bad.wav()),
        ("token file cut short", damaged),
        ("token file of another tokenizer", bad.tokens()),
    ):
        for verb in ("decode", "info", "verify"):
            code = 0 if "another" in what and verb != "decode" else 1
            yield _tokens_case(what, data, verb, code)
    largest = {"bands": 65535, "codebook_size": 2**31 - 1, "num_samples": 0, "frames": 0}
    huge = bad.tokens(**largest)
    for verb, code in (("decode", 1), ("info", 0), ("verify", 0)):
        yield _tokens_case("largest sizes a header may state, 0 frames", huge, verb, code)
    ugly = bad.tokens(model_id="\x1b]0;owned\x07\n", extra={"k\n": "\x9b2J"})
    for verb, code in (("decode", 1), ("info", 0), ("verify", 0)):
        yield _tokens_case("terminal commands in the header", ugly, verb, code)
    for verb in ("info", "verify"):
        for what, make in (("named pipe", bad.pipe("a.btk")), ("folder", bad.folder("a.btk", {}))):
            yield Case(what=what, make=make, verb=verb, output="")


def _case(what: str, name: str, data: bytes, exit_code: int = 1) -> Case:
    return Case(what=what, make=bad.file(name, data), exit_code=exit_code)


def _tokens_case(what: str, data: bytes, verb: str, code: int) -> Case:
    output = "out.wav" if verb == "decode" else ""
    return Case(what=what, make=bad.file("a.btk", data), verb=verb, exit_code=code, output=output)
