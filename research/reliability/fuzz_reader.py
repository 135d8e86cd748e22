"""A million damaged token files: each must be refused in one line, or give what it really holds.

    python -m research.reliability.fuzz_reader --inputs 1000000 [--seed 0] [--write FILE.md]

The reader runs in a child process whose memory is capped. Exit code 1 if it broke a promise; the
inputs that did so are written to --failures.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import random
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bandtok.errors import TokenFileError
from bandtok.tokens.token_file import TokenFile, salvage_token_file
from research.reliability.mutations import (
    Mutant,
    claimed_codes,
    every_small_change,
    originals,
    random_mutants,
)
from research.reliability.report import Section, machine, write_section

MAX_SECONDS = 1.0
MEMORY_CAP_BYTES = 256 << 20
_EXHAUSTIVE = ("one", "small", "open")  # originals of which every change of every byte is tried
_MAX_KEPT_FAILURES = 100


@dataclass
class Tally:
    """What came of all inputs; `failures` holds (kind, what went wrong, the file)."""

    kinds: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, str, bytes]] = field(default_factory=list)
    failed: int = 0
    salvaged: int = 0
    slowest_seconds: float = 0.0
    seconds: float = 0.0
    grown_bytes: int = 0

    @property
    def inputs(self) -> int:
        return self.kinds.total()


class TookTooLongError(BaseException):
    """Raised by the alarm; not an Exception, so that nothing catches it on the way."""


class Broken(AssertionError):
    """The reader broke a promise."""


def mutants(number: int, seed: int) -> Iterator[Mutant]:
    """Yield `number` inputs: every small change of small files first, then random ones.

    The exhaustive part takes at most half.
    """
    files = originals(seed)
    small = [file for file in files if file.name in _EXHAUSTIVE]
    need = sum(256 * len(file.data) for file in small)
    values = 255 if need <= number // 2 else 1
    exhaustive = itertools.islice(every_small_change(small, values), number // 2)
    rng = random.Random(f"mutants {seed}")
    return itertools.islice(itertools.chain(exhaustive, random_mutants(files, rng)), number)


def run(number: int, seed: int, progress: bool = False) -> Tally:
    """Read `number` inputs and check every answer.

    Args:
        number: of inputs.
        seed: decides every input.
        progress: show on stderr how far it is.
    """
    tally, began = Tally(), time.monotonic()
    memory = _peak_memory(forget=True)
    with file_in_memory() as (handle, path):
        for index, mutant in enumerate(mutants(number, seed)):
            os.ftruncate(handle, 0)
            os.pwrite(handle, mutant.data, 0)
            _judge(mutant, path, index, tally)
            if progress and index % 20_000 == 0:
                print(f"{index} inputs, {tally.failed} failures", file=sys.stderr)
    tally.seconds = time.monotonic() - began
    tally.grown_bytes = _peak_memory() - memory
    return tally


def check(mutant: Mutant, handle: int, path: str) -> None:
    """Read one input in all ways; raise if a promise is broken."""
    os.ftruncate(handle, 0)
    os.pwrite(handle, mutant.data, 0)
    _read(mutant, path)
    _salvage(mutant, path)
    _read_a_part(mutant, path, len(mutant.data))


def _judge(mutant: Mutant, path: str, index: int, tally: Tally) -> None:
    began = time.process_time()
    try:
        with _alarm(30):
            answer = _read(mutant, path)
            tally.salvaged += _salvage(mutant, path) if index % 2 else 0
            if index % 4 == 0:
                _read_a_part(mutant, path, index)
    except (Exception, TookTooLongError) as error:
        answer = "FAILURE"
        tally.failed += 1
        if len(tally.failures) < _MAX_KEPT_FAILURES:
            tally.failures.append((mutant.kind, f"{type(error).__name__}: {error}", mutant.data))
    took = time.process_time() - began
    if took > MAX_SECONDS and answer != "FAILURE":
        tally.failed += 1
        tally.failures.append((mutant.kind, f"took {took:.1f} s", mutant.data))
    tally.slowest_seconds = max(tally.slowest_seconds, took)
    tally.kinds[mutant.kind] += 1
    tally.answers[answer] += 1


def _read(mutant: Mutant, path: str) -> str:
    """Read everything; return the class of the error, or "read"."""
    try:
        with TokenFile(path) as file:
            codes = file.read()
    except TokenFileError as error:
        _check_message(error)
        if mutant.data == mutant.original.data:
            raise Broken("an intact file was refused") from error
        return type(error).__name__
    _check_codes(mutant, codes)
    return "read"


def _check_codes(mutant: Mutant, codes: np.ndarray) -> None:
    if mutant.claim is None:
        if mutant.data != mutant.original.data:
            raise Broken("a damaged file was believed")
        wanted: list[list[int]] | None = mutant.original.codes
    else:
        wanted = claimed_codes(mutant.claim)
    if wanted is None or codes.dtype != np.int32 or codes.tolist() != wanted:
        raise Broken("the codes are not those that the file holds")


def _check_message(error: TokenFileError) -> None:
    if not str(error).isprintable() or not 10 < len(str(error)) < 1000:
        raise Broken(f"not a line for people: {error!r}")


def _salvage(mutant: Mutant, path: str) -> bool:
    """Salvage; whole blocks of the original from its beginning are all that may come back."""
    try:
        kept = salvage_token_file(path)
    except TokenFileError as error:
        _check_message(error)
        return False
    codes = kept.grid.codes
    if codes.size and not 0 <= codes.min() <= codes.max() < kept.grid.codebook_size:
        raise Broken("salvage returned codes outside the codebook")
    if mutant.claim is None:
        ends = np.cumsum([0, *(block.frames for block in mutant.original.raw.blocks)])
        whole = np.array(mutant.original.codes).reshape(len(mutant.original.codes), -1)
        if codes.shape[1] not in ends or not np.array_equal(codes, whole[:, : codes.shape[1]]):
            raise Broken("salvage returned what is no beginning of the original")
    return True


def _read_a_part(mutant: Mutant, path: str, index: int) -> None:
    """Read some frames; damage elsewhere may go unseen, but these must be right."""
    try:
        with TokenFile(path) as file:
            start = index // 4 % (file.num_frames + 1)
            stop = min(file.num_frames, start + 3)
            codes = file.read_frames(start, stop)
    except TokenFileError as error:
        _check_message(error)
        return
    wanted = mutant.original.codes if mutant.claim is None else claimed_codes(mutant.claim)
    if wanted is None or codes.tolist() != [row[start:stop] for row in wanted]:
        raise Broken(f"frames {start} to {stop} are not those that the file holds")


@contextmanager
def file_in_memory() -> Iterator[tuple[int, str]]:
    """Yield handle and path of a regular file that no disk holds."""
    handle = os.memfd_create("input.btk")
    try:
        yield handle, f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)


@contextmanager
def _alarm(seconds: int) -> Iterator[None]:
    def ring(*_: object) -> None:
        raise TookTooLongError(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _peak_memory(forget: bool = False) -> int:
    """Return the most bytes this process has held; `forget` what was before now."""
    if forget:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def cap_memory(more_bytes: int) -> None:
    """Forbid this process to take more address space than it has now and `more_bytes`."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + more_bytes, now + more_bytes))


def _child(number: int, seed: int, sender: multiprocessing.connection.Connection) -> None:
    run(200, seed + 1)  # what the libraries load at first use is no matter of the inputs
    cap_memory(MEMORY_CAP_BYTES)
    sender.send(run(number, seed, progress=True))


def run_capped(number: int, seed: int) -> Tally | None:
    """Do :func:`run` in a child process with capped memory; None if the child died."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(number, seed, sender))
    child.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        return None
    finally:
        child.join()


def _section(tally: Tally, command: str) -> Section:
    answers = ", ".join(f"{name} {count:,}" for name, count in tally.answers.most_common())
    return Section(
        title="Damaged token files",
        command=command,
        columns=("kind of damage", "inputs"),
        rows=[(kind, f"{count:,}") for kind, count in sorted(tally.kinds.items())],
        note=(
            f"{tally.inputs:,} inputs, **{tally.failed} broken promises**. Answers: {answers}; "
            f"half of the inputs were also salvaged, of which {tally.salvaged:,} kept something or "
            f"had nothing to keep. {tally.inputs / tally.seconds:,.0f} inputs a second; slowest "
            f"input {tally.slowest_seconds * 1000:.0f} ms of processor time (allowed: "
            f"{MAX_SECONDS * 1000:.0f}); memory grew by {tally.grown_bytes / 2**20:.0f} MiB "
            f"(allowed: {MEMORY_CAP_BYTES >> 20}). {machine()}."
        ),
    )


def _keep_failures(tally: Tally, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index, (kind, problem, data) in enumerate(tally.failures):
        (folder / f"{index:03}.btk").write_bytes(data)
        print(f"{folder / f'{index:03}.btk'}: {kind}: {problem}", file=sys.stderr)


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, metavar="FILE.md")
    parser.add_argument("--failures", type=Path, default=Path("fuzz-failures"), metavar="DIR")
    arguments = parser.parse_args()
    tally = run_capped(arguments.inputs, arguments.seed)
    if tally is None:
        sys.exit("the process that reads died; run again with --inputs halved to find where")
    command = f"python -m research.reliability.fuzz_reader --inputs {arguments.inputs} --seed {arguments.seed}"  # noqa: E501
    write_section(_section(tally, command), arguments.write)
    result = {key: getattr(tally, key) for key in ("inputs", "failed", "seconds", "salvaged")}
    print(json.dumps({**result, "answers": tally.answers}))
    if tally.failed:
        _keep_failures(tally, arguments.failures)
        sys.exit(1)


if __name__ == "__main__":
    main()
