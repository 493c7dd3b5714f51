"""Programs that are broken or hostile end within their limits, touch no file, and harm no other program."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import clingo
import pytest

from augen.core.errors import AugenError
from augen.programs.language import AnswerSet, Result
from augen.programs.solver import Limits, Solver, stored_results
from augen.store.responses import Store
from tests.hostile import HOSTILE, check, mutated

ROOT = Path(__file__).parents[2]
LIMITS = Limits(seconds=1.0, memory_mib=512)
ENDLESS = "n(0). n(X+1) :- n(X), X < 100. :- not n(7). answer(1) :- X=1..2147483647, X*X = 7."
ONE = Result((AnswerSet((1,), ()),))
CANARY = 'answer("read").\n'


@pytest.fixture(scope="module")
def solver() -> Iterator[Solver]:
    with Solver(LIMITS, workers=1) as opened:
        yield opened


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("canary") / "canary.lp"
    path.write_text(CANARY, encoding="utf-8")
    return path


def children(parent: int) -> dict[int, str]:
    """The processes whose parent is `parent`, with their state (Z: a zombie)."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, its_parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it has ended
            continue
        if int(its_parent) == parent:
            found[int(path.parent.name)] = state
    return found


def wait_for(what: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def running_worker(before: set[int]) -> int:
    """The worker, none of `before`, that has been running one program for 0.2 seconds."""

    def busy() -> dict[int, int]:
        return {pid: child for pid in children(os.getpid()).keys() - before for child in children(pid)}

    while True:
        wait_for(lambda: bool(busy()))
        first = busy()
        time.sleep(0.2)
        if again := {pid for pid, child in busy().items() if first.get(pid) == child}:
            return again.pop()


def test_the_canary_is_real(canary: Path) -> None:
    control = clingo.Control()
    control.add("base", [], f'#include "{canary}".')
    control.ground([("base", [])])
    assert [str(atom.symbol) for atom in control.symbolic_atoms] == ['answer("read")']


def test_there_are_enough() -> None:
    assert len(HOSTILE) >= 60


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_programs(name: str, solver: Solver, canary: Path) -> None:
    program, cause = HOSTILE[name]
    program = program.replace("CANARY", str(canary))
    started = time.monotonic()
    [result] = solver.run([program])
    assert time.monotonic() - started < 10 * LIMITS.seconds + 15
    check(program, result)
    # How deep the solver can go before its stack ends differs between builds of Python.
    stack_ended = name == "deep functions" and result.message == "the solver died: SIGSEGV"
    assert result.cause == ("crash" if stack_ended else cause), result
    assert "read" not in str(result.answer_sets)
    assert canary.read_text(encoding="utf-8") == CANARY
    assert solver.run(["answer(1)."]) == [ONE]
    assert "Z" not in children(os.getpid()).values()


@pytest.mark.parametrize(
    "program",
    [
        "p(X,Y) :- X=1..5000, Y=1..5000. answer(1).",
        "n(z). n(s(X)) :- n(X). answer(1).",
        "{a(1..3000,1..3000)}. answer(1).",
        'n(0). s("长",0). s((X,X),N+1) :- s(X,N). s(f(X,Y),N+1) :- s(X,N), s(Y,N). answer(1).',
    ],
)
def test_memory_is_limited(program: str) -> None:
    with Solver(Limits(seconds=60, memory_mib=64), workers=1) as small:
        memory, one = small.run([program, "answer(1)."])
    assert (memory.cause, memory.message) == ("memory", "took more than 64 MiB")
    assert one == ONE


def test_time_is_that_of_the_processor() -> None:
    """A worker that is stopped meanwhile loses nothing by it."""
    before = set(children(os.getpid()))
    with Solver(Limits(seconds=1.5), workers=1) as solver:
        results: list[Result] = []
        thread = threading.Thread(target=lambda: results.extend(solver.run([ENDLESS])))
        thread.start()
        worker = running_worker(before)
        [program] = children(worker)
        os.kill(program, signal.SIGSTOP)
        time.sleep(2)
        assert not results
        os.kill(program, signal.SIGCONT)
        thread.join()
    assert results == [Result((), "time", "took more than 1.5 s")]


def test_a_killed_worker_loses_only_its_program() -> None:
    before = set(children(os.getpid()))
    with Solver(Limits(seconds=30), workers=1) as solver:
        results: list[Result] = []
        thread = threading.Thread(target=lambda: results.extend(solver.run(["answer(1).", ENDLESS, "answer(1). "])))
        thread.start()
        os.kill(running_worker(before), signal.SIGKILL)
        thread.join()
        assert results == [ONE, Result((), "crash", "the worker was killed", settled=False), ONE]
        for worker in set(children(os.getpid())) - before:  # an idle one that dies is replaced without a word
            os.kill(worker, signal.SIGKILL)
            wait_for(lambda pid=worker: children(os.getpid()).get(pid) == "Z")  # type: ignore[misc]
        assert solver.run(["answer(1)."]) == [ONE]
    assert set(children(os.getpid())) <= before


def test_closing_ends_what_runs_and_leaves_nothing() -> None:
    before, files = set(children(os.getpid())), len(os.listdir("/proc/self/fd"))
    solver = Solver(Limits(seconds=60), workers=2)
    errors: list[str] = []

    def run() -> None:
        try:
            solver.run([ENDLESS, ENDLESS + " ", ENDLESS + "\n"])
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    running_worker(before)
    started = time.monotonic()
    solver.close()
    thread.join()
    assert errors == ["the solver was closed"]
    assert time.monotonic() - started < 10
    assert set(children(os.getpid())) <= before
    assert len(os.listdir("/proc/self/fd")) == files


def test_workers_end_with_a_parent_that_is_killed() -> None:
    script = (
        "from augen.programs.solver import Limits, Solver\n"
        "solver = Solver(Limits(seconds=2), workers=1)\n"
        f"solver.run(['answer(1).']); print('up', flush=True); solver.run([{ENDLESS!r}])"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE)
    assert parent.stdout
    parent.stdout.readline()
    [worker] = children(parent.pid)
    wait_for(lambda: bool(children(worker)))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    stat = Path(f"/proc/{worker}/stat")
    wait_for(lambda: not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z")


def test_eight_workers_mix_up_nothing() -> None:
    def expected(number: int) -> tuple[str, Result]:
        if number % 7 == 0:
            return f"a{number} :- , b.", Result((), "syntax")
        if number % 11 == 0:
            return f"answer({number}). a. :- a.", Result((), "no_model")
        return f"{{a({number % 5}..9)}}. answer({number}).", Result((AnswerSet((number,), ()),))

    numbers = [*range(2_000)]
    Random(8).shuffle(numbers)
    programs = [expected(number)[0] for number in numbers]
    with Solver(LIMITS, workers=8) as solver:
        results = solver.run(programs + programs[:50])
    assert results[2_000:] == results[:50]
    for number, result in zip(numbers, results, strict=False):
        program, wanted = expected(number)
        assert (result.answer_sets, result.cause) == (wanted.answer_sets, wanted.cause), program
    assert "Z" not in children(os.getpid()).values()


def test_mutated_programs() -> None:
    """`make bench PART=programs` runs many more."""
    rng = Random("programs")
    programs = list(dict.fromkeys(mutated(rng) for _ in range(2_000)))
    with Solver(Limits(seconds=0.3, memory_mib=256), workers=2) as solver:
        results = solver.run(programs)
    for program, result in zip(programs, results, strict=True):
        check(program, result)
    assert {None, "syntax", "forbidden", "no_model"} <= {result.cause for result in results}


def test_results_are_stored_and_not_run_again(tmp_path: Path) -> None:
    programs = ["answer(1).", 'answer("甲', "#use roads. road(1,2). answer(X) :- reach(1,X).", ENDLESS, "answer(1)."]
    with Store(tmp_path / "responses.sqlite") as store:
        with Solver(LIMITS, workers=2) as solver:
            first = stored_results(programs, store, solver)
        assert [result.cause for result in first] == [None, "syntax", None, "time", None]
        assert stored_results(programs, store, solver) == first, "the solver is closed: nothing can have run"
        with Solver(Limits(seconds=0.5), workers=2) as other:
            pass
        with pytest.raises(RuntimeError):
            stored_results(programs, store, other)


def test_what_came_from_outside_is_not_stored(tmp_path: Path) -> None:
    before = set(children(os.getpid()))
    limits = Limits(seconds=3)
    with Store(tmp_path / "responses.sqlite") as store:
        results: list[Result] = []
        with Solver(limits, workers=1) as solver:
            thread = threading.Thread(target=lambda: results.extend(stored_results([ENDLESS], store, solver)))
            thread.start()
            os.kill(running_worker(before), signal.SIGKILL)
            thread.join()
            assert [result.cause for result in results] == ["crash"]
            assert [result.cause for result in stored_results([ENDLESS], store, solver)] == ["time"]


def test_a_command_shows_the_place(tmp_path: Path) -> None:
    file = tmp_path / "puzzle.lp"
    file.write_text('road("甲","乙").\nanswer("甲") :- , c.\n', encoding="utf-8")
    done = command("run", str(file))
    assert done.returncode == 1
    first, line, caret = done.stderr.splitlines()
    assert first.startswith(f"{file}:2:16: syntax (") and "unexpected" in first
    assert line == '  answer("甲") :- , c.'
    assert caret == " " * (2 + 15 + 1) + "^"  # 甲 takes two columns

    file.write_text('#use roads.\nroad("甲","乙").\nanswer(X) :- reach("甲",X).\n', encoding="utf-8")
    done = command("run", str(file), "--option", "甲", "--option", "乙")
    assert (done.returncode, done.stdout) == (0, "answer set 1: 乙\n  A: 甲\n  B: 乙\nanswer: B\n")
    done = command("run", str(file), "--option", "甲", "--option", "丙")
    assert done.returncode == 1 and done.stderr == "no answer (no_option): no option is the answer: 乙\n"
    assert "roads\n" in command("modules").stdout


def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    asked = [sys.executable, "-m", "augen.programs", *arguments]
    return subprocess.run(asked, cwd=ROOT, text=True, capture_output=True)


def test_a_worker_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It finds the packages that this process finds, here a clingo that is none."""
    (tmp_path / "clingo.py").write_text("raise ImportError('a library is missing')", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with (
        Solver(LIMITS, workers=1) as solver,
        pytest.raises(AugenError, match=r"does not start: ImportError: a library is missing"),
    ):
        solver.run(["answer(1)."])
