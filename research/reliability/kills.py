"""kill -9 at random moments of encoding, tokenizing and training; afterwards all is as if never.

    python -m research.reliability.kills --kills 200 --jobs encode,tokenize,tokenizer,vocoder,lm \
        --seed 0
        [--write FILE.md]

A chain is one job killed once or several times and restarted until it ends. After each kill no file
under its final name may be half; at the end all equals the run that was left alone, bit for bit.
Linux only. JSON on stdout.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from bandtok.cli.batch import plan_jobs
from bandtok.training import run as _  # noqa: F401 (forked children then have it all)
from research.reliability.kill_children import Ended, Moment, run_forked, run_process
from research.reliability.kill_jobs import Job, file_jobs, prepare, training_jobs, unfinished
from research.reliability.report import Section, machine, write_section

JOBS = ("encode", "tokenize", "tokenizer", "vocoder", "lm")


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """The run that was left alone: its output, and how long it took."""

    out: Path
    seconds: float
    operations: int
    startup_seconds: float


@dataclass(kw_only=True)
class Chain:
    """What became of one job that was killed and restarted until it ended.

    Attributes:
        kills: the moments of those that hit a running process.
        problems: what was wrong, with the moment before it.
        left: temporary files and folders found after each kill.
        left_at_end: those still there when the job was done.
        mistaken: how many of them a command took for results.
        fresh: whether every run was a fresh interpreter, not a fork.
    """

    job: str
    fresh: bool
    kills: list[Moment] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    left_at_end: int = 0
    mistaken: int = 0


def run_chains(
    jobs: Mapping[str, Job], work: Path, kills: int, seed: int, fresh_every: int
) -> Iterator[Chain]:
    """Run chains of the jobs in turn until `kills` have hit; each is deleted if all was well.

    Args:
        jobs: by name.
        work: folder for everything.
        kills: how many at least.
        seed: of the draw of moments.
        fresh_every: every so many chains one runs in fresh interpreters; 0 for none.
    """
    startup = _startup_seconds(work) if fresh_every else 0.0
    alone = {name: _leave_alone(job, work, startup) for name, job in jobs.items()}
    names, hit = itertools.cycle(jobs), 0
    for index in itertools.count():
        if hit >= kills:
            return
        rng = np.random.default_rng((seed, index))
        fresh = bool(fresh_every) and index % fresh_every == fresh_every - 1
        job = jobs[next(names)]
        at = work / f"chain-{index:04d}-{job.name}"
        chain = _run_chain(job, alone[job.name], at, rng, fresh, kills - hit)
        hit += len(chain.kills)
        yield chain


def make_jobs(names: list[str], work: Path, tracks: int, steps: int) -> dict[str, Job]:
    """Return the named jobs, their music made below `work`."""
    jobs = file_jobs(work, tracks)
    shards = work / "shards"
    if "lm" in names:
        prepare(jobs["tokenize"], work / "for-lm")
        _expect_success(run_forked(jobs["tokenize"].start(work / "for-lm"), work / "log"), work)
        os.replace(work / "for-lm" / "out", shards)
    jobs |= training_jobs(work, shards, steps)
    return {name: jobs[name] for name in names}


def _startup_seconds(work: Path) -> float:
    ended = run_process(["train", "--help"], work / "log")
    _expect_success(ended, work)
    return ended.seconds


def _leave_alone(job: Job, work: Path, startup_seconds: float) -> Undisturbed:
    at = work / f"alone-{job.name}"
    prepare(job, at)
    ended = run_forked(job.start(at), work / "log")
    _expect_success(ended, work)
    _say(f"{job.name} alone: {ended.seconds:.1f} s, {ended.operations} file operations")
    return Undisturbed(
        out=at / "out",
        seconds=ended.seconds,
        operations=ended.operations,
        startup_seconds=startup_seconds,
    )


def _expect_success(ended: Ended, work: Path) -> None:
    if ended.code:
        raise RuntimeError(f"the undisturbed run ended with {ended.code}; see {work / 'log'}")


def _run_chain(
    job: Job,
    alone: Undisturbed,
    at: Path,
    rng: np.random.Generator,
    fresh: bool,
    most_kills: int,
) -> Chain:
    chain = Chain(job=job.name, fresh=fresh)
    prepare(job, at)
    run = run_process if fresh else run_forked
    wanted = min(1 if fresh else int(rng.integers(1, 6)), most_kills)
    arguments, log = job.start(at), at / "log"
    ended = None
    for attempt in range(wanted):
        kept = _kept(job, at)
        moment = _draw_moment(alone, rng, fresh, 1.0 if attempt == 0 else 0.5)
        ended = run(arguments, log, moment)
        _look_after(job, alone, at, chain, kept)
        if not ended.killed:
            break
        chain.kills.append(moment)
        _look_after_kill(job, alone, at, chain)
        arguments = [*job.start(at), *job.resume]
    kept = _kept(job, at)
    if ended is None or ended.killed:
        ended = run(arguments, log)
        _look_after(job, alone, at, chain, kept)
    if ended.code:
        _blame(chain, f"the last run ended with {ended.code}: {log.read_text()[-300:]!r}")
    elif differences := job.differences(at / "out", alone.out):
        _blame(chain, *differences)
    chain.left_at_end = len(unfinished(at))
    return chain


def _draw_moment(alone: Undisturbed, rng: np.random.Generator, fresh: bool, share: float) -> Moment:
    """Half by the clock, half by file operations; of these half exactly before, half just after."""
    if fresh:
        low, high = 0.7 * alone.startup_seconds, alone.startup_seconds + alone.seconds
        return Moment(seconds=rng.uniform(low, high))
    if rng.random() < 0.5:
        return Moment(seconds=rng.uniform(0, share * alone.seconds))
    operation = 1 + int(rng.integers(max(1, int(share * alone.operations))))
    late = rng.random() < 0.5
    return Moment(seconds=rng.uniform(0, 0.003) if late else 0.0, operation=operation)


def _look_after_kill(job: Job, alone: Undisturbed, at: Path, chain: Chain) -> None:
    left = unfinished(at)
    chain.left.append(len(left))
    _blame(chain, *job.half(at / "out", alone.out))
    if job.name == "encode":
        chain.mistaken += _verify(at, chain)


def _verify(at: Path, chain: Chain) -> int:
    """Check with the program itself; return how many temporary files it would take for tokens."""
    final = sorted((at / "out").glob("[!.]*.btk"))
    if not final:
        return 0
    (at / "verify").unlink(missing_ok=True)
    if run_forked(["verify", *map(str, final), "--json"], at / "verify").code:
        _blame(chain, f"verify: {(at / 'verify').read_text()[-300:]}")
    plan = plan_jobs(
        [at / "out"],
        at / "decoded",
        suffixes={".btk"},
        output_suffix=".wav",
        allowed_outputs={".wav"},
    )
    return len({job.source for job in plan.jobs} - set(final))


def _kept(job: Job, at: Path) -> dict[Path, tuple[int, int]]:
    """Return inode and time of change of the results so far."""
    if job.kept is None or not (at / "out").exists():
        return {}
    stats = {path: path.stat() for path in (at / "out").glob(job.kept) if path.name[0] != "."}
    return {path: (stat.st_ino, stat.st_mtime_ns) for path, stat in stats.items()}


def _look_after(
    job: Job, alone: Undisturbed, at: Path, chain: Chain, before: dict[Path, tuple[int, int]]
) -> None:
    now = _kept(job, at)
    again = [path.name for path, mark in before.items() if now.get(path) != mark]
    _blame(chain, *(f"{name} was made again" for name in again))


def _blame(chain: Chain, *problems: str) -> None:
    last = f"kill {len(chain.kills)}, {chain.kills[-1]}" if chain.kills else "before any kill"
    chain.problems += [f"{last}: {problem}" for problem in problems]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _row(name: str, chains: list[Chain], alone_fresh: Counter[str]) -> list[str]:
    kills = [kill for chain in chains for kill in chain.kills]
    by_file = sum(kill.operation is not None for kill in kills)
    return [
        name,
        str(len(chains)),
        str(len(kills)),
        str(by_file),
        str(alone_fresh[name]),
        str(max((len(chain.kills) for chain in chains), default=0)),
        str(sum(bool(chain.problems) for chain in chains)),
        str(sum(sum(chain.left) for chain in chains)),
        str(sum(chain.mistaken for chain in chains)),
        str(sum(chain.left_at_end for chain in chains)),
    ]


_COLUMNS = (
    "job",
    "chains",
    "kills",
    "of them at a file operation",
    "of them in a fresh interpreter",
    "most in one chain",
    "chains with a problem",
    "temporary files after kills",
    "taken for results",
    "left when the job was done",
)


def _section(chains: list[Chain], arguments: argparse.Namespace, seconds: float) -> Section:
    fresh = Counter[str]()
    for chain in chains:
        fresh[chain.job] += len(chain.kills) if chain.fresh else 0
    rows = [_row(name, [c for c in chains if c.job == name], fresh) for name in arguments.jobs]
    rows.append(_row("all", chains, Counter({"all": fresh.total()})))
    return Section(
        title="kill -9 at random moments",
        command=f"python -m research.reliability.kills --kills {arguments.kills} "
        f"--jobs {','.join(arguments.jobs)} --seed {arguments.seed} --tracks {arguments.tracks} "
        f"--steps {arguments.steps} --fresh-every {arguments.fresh_every}",
        columns=_COLUMNS,
        rows=rows,
        note=f"No half file under a final name after any kill, finished files not made again, and "
        f"at the end every file, state tensor, exported weight, picture and logged number bit for "
        f"bit that of a run left alone, except where a problem is counted. {seconds / 60:.0f} "
        f"minutes, {_processor_seconds() / 60:.0f} of them of processor time; {machine()}.",
    )


def _processor_seconds() -> float:
    """Of this process and its children, the killed ones included."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--jobs", default=",".join(JOBS), type=lambda text: text.split(","))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tracks", type=int, default=24, help="sounds to encode")
    parser.add_argument("--steps", type=int, default=12, help="of training")
    parser.add_argument(
        "--fresh-every", type=int, default=12, help="every N-th chain without forks; 0 for none"
    )
    parser.add_argument("--write", type=Path, default=None, metavar="FILE.md")
    arguments = parser.parse_args()
    if unknown := set(arguments.jobs) - set(JOBS):
        parser.error(f"got jobs {sorted(unknown)}; expected some of {', '.join(JOBS)}")
    return arguments


def main() -> int:
    """Run the chains, print what is wrong, write the table."""
    arguments = _parse()
    if os.environ.get("OMP_NUM_THREADS") != "1":  # numpy starts its threads when imported
        command = [sys.executable, "-m", "research.reliability.kills", *sys.argv[1:]]
        os.execve(sys.executable, command, {**os.environ, "OMP_NUM_THREADS": "1"})
    torch.set_num_threads(1)
    began, chains = time.monotonic(), list[Chain]()
    with tempfile.TemporaryDirectory(prefix="bandtok-kills-") as folder:
        work = Path(folder)
        jobs = make_jobs(arguments.jobs, work, arguments.tracks, arguments.steps)
        for chain in run_chains(jobs, work, arguments.kills, arguments.seed, arguments.fresh_every):
            chains.append(chain)
            hit = sum(len(chain.kills) for chain in chains)
            seconds = time.monotonic() - began
            _say(f"{hit} of {arguments.kills} kills, {chain.job}, {seconds:.0f} s")
            for problem in chain.problems:
                _say(f"  PROBLEM in {chain.job}: {problem}")
    section = _section(chains, arguments, time.monotonic() - began)
    table = [dict(zip(section.columns, row, strict=True)) for row in section.rows]
    problems = [f"{chain.job}: {line}" for chain in chains for line in chain.problems]
    print(json.dumps({"jobs": table, "problems": problems}, indent=1))
    if arguments.write:
        write_section(section, arguments.write)
    return 1 if problems or any(chain.mistaken for chain in chains) else 0


if __name__ == "__main__":
    raise SystemExit(main())
