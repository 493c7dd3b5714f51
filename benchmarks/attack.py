"""Attacks the whole of it, bounded, and says what held: make bench PART=attack

Kills at random moments of every stage, servers of bad manners, damaged stores, hostile model folders, pickles, replies
and programs. Each part draws its cases from a seed. `pretrain` is left out: it makes models that the repository keeps.

A part holds where nothing ran, hung or broke: what is wrong has a message of its own, no file is half-written, and a
stage that was killed at any moment gives, when it is run again, the outs of an undisturbed run, byte for byte: trained
weights, too.
"""

import argparse
import io
import logging
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

from tabulate import tabulate

from augen.core.errors import AugenError
from augen.core.progress import progress
from augen.generation.base import Request
from augen.generation.open import open_sampler
from augen.generation.served.errors import CallError
from augen.programs.solver import Solver
from augen.store.repair import check as check_store
from augen.store.repair import repair
from augen.store.responses import Store
from benchmarks.programs import LIMITS, fuzz
from tests import folders, fuzzing, kills
from tests.integration.paid import KEYS, chat_changes
from tests.manners import MANNERS, served
from tests.params import params
from tests.unit.test_store_damage import change, filled

LONGEST_S = 15  # that a request with short deadlines may take
GROWTH_MIB = 600


@dataclass
class Part:
    """What became of the cases of one kind."""

    tried: int = 0
    failed: list[str] = field(default_factory=list)

    def case(self, name: str, attack: Callable[[], Any]) -> None:
        """Try one case: an AssertionError, or any error that is no message for the user, is a failure."""
        self.tried += 1
        try:
            attack()
        except (AugenError, CallError):
            pass
        except Exception as error:
            self.fail(f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:200]}")

    def fail(self, fault: str) -> None:
        self.failed.append(fault)
        print(fault, flush=True)


def pickles(part: Part, count: int, folder: Path) -> None:
    watch, marker = fuzzing.Watch(), folder / "made"
    for seed in range(count):
        kind, data = fuzzing.pickle_case(seed, str(marker))
        part.case(f"pickle_case({seed}), {kind}", partial(fuzzing.check, watch, folder / "x.pkl", data, False))
        part.case(f"jsonl_case({seed})", partial(fuzzing.check, watch, folder / "x.jsonl", _lines(seed), False))
    part.case("nothing was made", lambda: _holds(not marker.exists(), "code ran"))


def _lines(seed: int) -> bytes:
    return fuzzing.jsonl_case(seed)[1]


def replies(part: Part, count: int, folder: Path) -> None:
    for seed in range(count):
        part.case(f"reply_case({seed})", partial(fuzzing.check_reply, *fuzzing.reply_case(seed)))


def programs(part: Part, count: int, folder: Path) -> None:
    with Solver(LIMITS, workers=2) as solver:
        part.case(f"{count} mutated programs", lambda: fuzz(solver, count, "attack"))
    part.tried = count


def _use(case: folders.Case, place: Path) -> None:
    folders.use(case.part, folders.make(case, place))


def model_folders(part: Part, count: int, folder: Path) -> None:
    logging.getLogger("transformers").setLevel(logging.ERROR)  # as in stages
    for number, case in enumerate(folders.cases()):
        place = folder / str(number)
        place.mkdir()
        part.case(f"{case.part}, {case.what}", partial(_use, case, place))
        shutil.rmtree(place)
    part.case("nothing was made", lambda: _holds(not Path("made").exists(), "code ran"))


# --- servers


def servers(part: Part, count: int, folder: Path) -> None:
    """Each server is asked by the sampler that stages use, with short deadlines and without retries."""
    import openai  # noqa: F401  # takes seconds, which the first server must not be charged

    os.environ |= KEYS
    others = {f"reply_case({seed})": fuzzing.reply_case(seed) for seed in range(count)}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name, manner in chain(MANNERS.items(), ((n, _plain(*case)) for n, case in others.items())):
        os.environ["AUGEN_CACHE"] = str(folder / f"{part.tried}.sqlite")
        began = time.monotonic()
        with served(manner) as url, redirect_stdout(said := io.StringIO()), redirect_stderr(said):
            part.case(name, partial(_ask, url))
        if (took := time.monotonic() - began) > LONGEST_S:
            part.fail(f"{name}: took {took:.0f} s")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if grown > GROWTH_MIB:
        part.fail(f"{grown:.0f} MiB of memory")


def _plain(status: int, body: str) -> bytes:
    content = body.encode(errors="replace")
    head = f"HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


def _ask(url: str) -> None:
    limits: dict[str, Any] = {
        "providers.max_request_s": 2.0,
        "providers.max_wait_s": 2.0,
        "providers.openai.retries": 0,
        "providers.openai.concurrency": 1,
    }
    request = Request("甲比乙高。", seed=1, temperature=0.3, top_p=1.0, max_tokens=8)
    section = params(chat_changes("openai", url, **limits)).providers
    with open_sampler("reason_true", "openai", providers=section, models=["m"]) as sampler:
        [completion] = sampler.draw([(request, {"problem": "p"})], "attack")
        completion.text.encode()


# --- stores

DAMAGES: dict[str, Callable[[Path, Random], Any]] = {
    "a bit flipped": lambda path, rng: _flip(path, rng, 1),
    "64 bits flipped": lambda path, rng: _flip(path, rng, 64),
    "cut off": lambda path, rng: os.truncate(path, rng.randrange(path.stat().st_size)),
    "a page of noise": lambda path, rng: _page(path, rng, rng.randbytes(4096)),
    "a page of zeros": lambda path, rng: _page(path, rng, bytes(4096)),
    "of 0 bytes": lambda path, rng: os.truncate(path, 0),
    "of a newer version": lambda path, rng: change(path, "PRAGMA user_version = 99"),
    "a web page": lambda path, rng: path.write_bytes(b"<!doctype html><title>Sign in</title>" * 99),
    "another database": lambda path, rng: change(path, "DROP TABLE responses", "PRAGMA application_id = 7"),
    "rows exchanged": lambda path, rng: change(path, f"UPDATE responses SET value = '{rng.random()}'"),
}


def _flip(path: Path, rng: Random, bits: int) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(bits):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def _page(path: Path, rng: Random, content: bytes) -> None:
    data = path.read_bytes()
    at = rng.randrange(len(data) // 4096) * 4096
    path.write_bytes(data[:at] + content + data[at + 4096 :])


def stores(part: Part, count: int, folder: Path) -> None:
    """A damaged store gives no wrong response, and is sound after `repair`, or refused by name."""
    for number in range(count):
        name = list(DAMAGES)[number % len(DAMAGES)]
        path = folder / f"{number}.sqlite"
        kept = filled(path, 200)
        DAMAGES[name](path, Random(f"store {number}"))
        part.case(f"{name}, {number}: read", partial(_read_right, path, kept))
        part.case(f"{name}, {number}: repaired", partial(_repaired, path, kept))


def _read_right(path: Path, kept: dict[str, Any]) -> None:
    with Store(path) as store:
        found = store.get_many(kept)
    _holds(all(kept[key] == value for key, value in found.items()), "a wrong response")


def _repaired(path: Path, kept: dict[str, Any]) -> None:
    repair(path)
    _holds(check_store(path).unsound == [], "not sound after repair")
    _read_right(path, kept)


# --- kills


def stages_killed(part: Part, count: int, folder: Path) -> None:
    """Two chains at once: see `tests.kills`."""
    os.environ["OMP_NUM_THREADS"] = "1"  # of each of the two; also for the processes that AT_ONCE has yet to start
    plain = kills.undisturbed(folder / "undisturbed")

    def attack(number: int, target: kills.Target, endings: Sequence[signal.Signals]) -> tuple[int, str]:
        """How many kills there were, and what failed."""
        tree, done = folder / str(number), list[str]()
        shutil.copytree(folder / "undisturbed", tree, symlinks=True, ignore=shutil.ignore_patterns(".augen"))
        try:
            kills.attack(tree, target, plain[target], endings, done)
        except AssertionError as error:
            return len(done), f"{target}, {', '.join(done)}: {error}"
        finally:
            shutil.rmtree(tree)
        return len(done), ""

    with ThreadPoolExecutor(2) as both, progress("stages killed", count, unit="kill") as bar:
        each = [both.submit(attack, number, *one) for number, one in enumerate(kills.chains(count))]
        for tried, fault in (one.result() for one in as_completed(each)):
            bar.update(tried)
            part.tried += tried
            if fault:
                part.fail(fault)


def _holds(true: bool, otherwise: str) -> None:
    if not true:
        raise AssertionError(otherwise)


PARTS: dict[str, tuple[Callable[[Part, int, Path], None], int]] = {
    "pickles": (pickles, 5_000),
    "replies": (replies, 5_000),
    "programs": (programs, 10_000),
    "stores": (stores, 200),
    "servers": (servers, 60),
    "folders": (model_folders, 0),
    "kills": (stages_killed, 100),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.attack", description="Attack every part of the pipeline, and say what held."
    )
    parser.add_argument("--part", choices=list(PARTS), action="append", help="only this; may be repeated")
    parser.add_argument("--kills", type=int, default=PARTS["kills"][1], help="in all (default: %(default)s)")
    asked = parser.parse_args()
    rows, failed = [], 0
    with tempfile.TemporaryDirectory() as place:
        for name in asked.part or PARTS:
            attack, count = PARTS[name]
            part, began, own = Part(), time.monotonic(), Path(place, name)
            own.mkdir()
            attack(part, asked.kills if name == "kills" else count, own)
            held = part.tried - len(part.failed)
            rows.append((name, f"{part.tried:,}", f"{held:,}", len(part.failed), f"{time.monotonic() - began:.0f} s"))
            failed += len(part.failed)
            print(f"{name}: {held:,} of {part.tried:,} held", flush=True)
    print(tabulate(rows, ("", "tried", "held", "failed", "took"), tablefmt="github", disable_numparse=True))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
