"""Compares sampling, scoring and voting with a simple rewrite of the published loop: make bench PART=infer

The published loop asks batches of 16 questions for all votes at once. It scores the texts of one question after the
other, padded to the longest of them, and asks a question again only if none of its samples was accepted, up to five
times. Here it runs on vLLM with default settings, in the same process and with the same generator, scorer, questions
and number of votes as `augen.answering`. The questions are new puzzles (augen.puzzles). After `dvc repro`, the
generator is models/tiny with the adapter and the scorer is models/scorer. Otherwise the generator has no adapter, and
the scorer is models/tiny/checker without training, which rejects more and so takes longer. It prints

1. wall-clock seconds, generated tokens and accuracy (± one standard error clustered by problem) of both loops, with few
   and with many votes; ours with and without adaptive stopping, on one engine and on one engine per core (engine ray);
2. tokens per second of our engine and of vLLM alone with the same requests;
3. the speed of scoring in batches by length and of scoring question by question, and the largest difference of their
   scores, for left and right padding.

Without a GPU, the published loop runs on one core, as vLLM does with such a small model, and augen scores on all cores;
with OMP_NUM_THREADS=2 both use two threads. The generator is loaded before timing starts. Takes minutes and needs an
otherwise idle machine; ``--questions 40`` is quicker and less precise.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from augen.answering.questions import Examples, Prompting
from augen.answering.rounds import Programs, Rounds
from augen.answers import parse_answer
from augen.core.cores import cores
from augen.core.files import read_json
from augen.core.params import load
from augen.entries import Question, Solution, letter_of
from augen.entries import questions as questions_in
from augen.generation.base import Engine, EngineSettings, Request
from augen.generation.engines import open_engine
from augen.generation.engines.vllm import VllmEngine
from augen.generation.sampler import EngineSampler, Identity
from augen.metrics.stats import cluster_mean, paired_difference
from augen.programs.verdicts import stored_verdicts
from augen.prompts.window import Window
from augen.puzzles.dataset import puzzle_entries
from augen.scorer.input_format import InputFormat, write_format
from augen.scorer.score import Scorer, stored_scores
from augen.store.responses import Store
from augen.voting.samples import CODES
from augen.voting.settings import VotingSettings
from augen.voting.vote import accepted_at, weights_of, winners
from augen.voting.weights import UNMEASURED, Weight

QUESTIONS, SEED = 320, 1
VOTERS, ROUNDS, THRESHOLD, CERTAINTY = 5, 5, 0.3, 0.8
PROGRAMS = (1, 2)  # slots for programs, where there are any
MANY = 15  # votes, of which adaptive stopping saves a larger share
BATCH = 16  # prompts at once in the published loop
MAX_TOKENS, MAX_MODEL_LEN, MAX_LENGTH = 256, 1024, 512


@dataclass
class Run:
    """The result of a loop: answers by question, generated tokens and samples, seconds."""

    name: str
    answers: dict[str, str]
    tokens: int
    samples: int
    seconds: float


class Bench:
    """One generator on vLLM and one scorer for all loops, already loaded and warm."""

    def __init__(self, questions: Sequence[Question], folder: Path) -> None:
        p = load("model", "prompt", "programs", "engine", "infer")
        self.programs = p.programs
        generator = with_adapter(p.model.generator, folder / "generator")
        self.questions = list(questions)
        self.folder = folder
        self.scorer_folder = folder / "scorer"
        if Path("models/scorer/scorer.json").exists():
            shutil.copytree("models/scorer", self.scorer_folder)
        else:
            untrained_scorer(self.scorer_folder)
        self.scorer = Scorer(self.scorer_folder)
        self.ray = p.engine.ray.model_copy(update={"workers": cores()})
        self.settings = EngineSettings(generator, dtype=p.model.dtype, max_model_len=MAX_MODEL_LEN, ray=self.ray)
        engine = open_engine("vllm", self.settings)
        assert isinstance(engine, VllmEngine)
        self.engine = engine
        self.llm: Any = engine._model(adapter=0)
        self.default_llm: Any = default_vllm(generator, p.model.dtype)
        window = Window(p.model, chat_template=False, max_model_len=MAX_MODEL_LEN)
        self.prompting = Prompting(p.prompt.solve, window, SEED, 1.0, 1.0, MAX_TOKENS, adapters=0)
        self.programming = self.prompting.for_programs(p)
        weights = Path("data/vote_weights.json")
        self.weight = Weight(**read_json(weights)) if weights.exists() else Weight(UNMEASURED, "assumed")
        list(self.engine.generate([self.request(asked, 1) for asked in self.questions[:BATCH]]))
        self.default_llm.generate([self.request(asked, 1).prompt for asked in self.questions[:BATCH]], use_tqdm=False)
        self.scorer.scores(
            [Solution(asked.problem, asked.item, "想。") for asked in self.questions[:BATCH]], "warming up"
        )

    def request(self, asked: Question, slot: int) -> Request:
        request = self.prompting.request(asked, (), slot, 0)
        assert request, "a puzzle fits"
        return request

    @contextmanager
    def one_each(self) -> Iterator[Engine]:
        """Engines on all cores, just loaded: they have seen prompts of other questions only."""
        engine: Any = open_engine("ray", self.settings)
        others = questions_in(puzzle_entries(cores() * self.ray.batch_size, "others", "other"), "dev")
        try:
            loaded = 0
            while loaded < cores():  # each has answered something
                list(engine.generate([self.request(asked, 1) for asked in others]))
                loaded = len(engine._idle)
            yield engine
        finally:
            engine.close()

    def timed(self, name: str, loop: Callable[[], tuple[dict[str, str], int, int]]) -> Run:
        self.llm.reset_prefix_cache()
        self.default_llm.reset_prefix_cache()
        started = time.perf_counter()
        answers, tokens, samples = loop()
        return Run(name, answers, tokens, samples, time.perf_counter() - started)

    def published(self, voters: int) -> tuple[dict[str, str], int, int]:
        """The published loop: answers, generated tokens, samples."""
        from vllm import SamplingParams

        params = SamplingParams(n=voters, temperature=1.0, top_p=1.0, max_tokens=MAX_TOKENS)
        answers: dict[str, str] = {}
        tokens = samples = 0
        for start in range(0, len(self.questions), BATCH):
            waiting = self.questions[start : start + BATCH]
            for _ in range(ROUNDS):
                prompts = [self.request(asked, 1).prompt for asked in waiting]
                outputs = self.default_llm.generate(prompts, params, use_tqdm=False)
                for asked, output in zip(waiting, outputs, strict=True):
                    texts = [completion.text for completion in output.outputs]
                    tokens += sum(len(completion.token_ids) for completion in output.outputs)
                    samples += len(texts)
                    scores = one_by_one(self.scorer, [[Solution(asked.problem, asked.item, text) for text in texts]])
                    parsed = np.array([[CODES[parse_answer(text, len(asked.item.options))] for text in texts]])
                    weights = weights_of(np.array([scores]))
                    accepted = np.where(accepted_at(parsed, np.array([scores]), THRESHOLD), parsed, -1)
                    [winner] = winners(accepted, weights, "majority")
                    if winner >= 0:
                        answers[asked.id] = letter_of(winner)
                waiting = [asked for asked in waiting if asked.id not in answers]
                if not waiting:
                    break
        return {asked.id: answers.get(asked.id, "A") for asked in self.questions}, tokens, samples

    def ours(self, engine: Engine, voters: int, adaptive: bool, programs: int = 0) -> tuple[dict[str, str], int, int]:
        """The same through `augen.answering` on `engine`, with an empty store."""
        settings = VotingSettings(
            voters,
            ROUNDS - 1,
            THRESHOLD,
            resample="question",
            adaptive=adaptive,
            certainty=CERTAINTY,
            programs=programs,
        )
        settings = self.weight.applied(settings)
        identity = Identity("vllm", "benchmark", "float32", None)
        with (
            tempfile.TemporaryDirectory(dir=self.folder) as folder,
            Store(Path(folder) / "store.sqlite") as store,
            stored_verdicts(store, self.programs) as solve,
        ):
            nothing: Examples = [()] * len(self.questions)
            writing = Programs(self.programming, solve, nothing)
            rounds = Rounds(self.questions, nothing, self.prompting, settings, writing)
            sampler = EngineSampler(store, lambda: engine, identity)  # not closed: the engine is used again
            found = rounds.run(sampler, stored_scores(self.scorer_folder, store))
            usage = sampler.usage
        letters = map(letter_of, found.codes("dev"))
        answers = {asked.id: letter for asked, letter in zip(self.questions, letters, strict=True)}
        return answers, usage.tokens, found.count


def default_vllm(generator: str, dtype: str) -> Any:
    """vLLM with default settings, except its share of a GPU or the settings it needs on a CPU (see `engines.vllm`).

    On a CPU it runs on one thread, which suits small models, unless OMP_NUM_THREADS is set.
    """
    from vllm import LLM

    set_num_threads = torch.set_num_threads
    llm = LLM(
        generator,
        dtype=dtype,
        max_model_len=MAX_MODEL_LEN,
        use_tqdm_on_load=False,
        **(
            {"gpu_memory_utilization": 0.2}
            if torch.cuda.is_available()
            else {"enforce_eager": True, "enable_chunked_prefill": False}
        ),
    )
    torch.set_num_threads = set_num_threads  # vLLM has replaced it by one that only warns
    return llm


def with_adapter(generator: str, folder: Path) -> str:
    """A copy of the generator in `folder` with the adapter merged; `generator` itself if there is no adapter."""
    if not Path("models/adapter/adapter_config.json").exists():
        return generator
    plain: Any = AutoModelForCausalLM.from_pretrained(generator, dtype=torch.float32)
    PeftModel.from_pretrained(plain, "models/adapter").merge_and_unload().save_pretrained(folder)
    AutoTokenizer.from_pretrained(generator).save_pretrained(folder)
    return str(folder)


def untrained_scorer(folder: Path) -> None:
    """The checker as a scorer, in float32 like a trained one: in bfloat16 a score depends on the batch."""
    shutil.copytree("models/tiny/checker", folder)
    checker: Any = AutoModelForSequenceClassification.from_pretrained("models/tiny/checker", dtype=torch.float32)
    checker.save_pretrained(folder)
    write_format(folder, InputFormat("full", MAX_LENGTH))


def one_by_one(scorer: Scorer, groups: Sequence[Sequence[Solution]]) -> list[float]:
    """The scores of `groups`; each group is one batch, padded to its longest text."""
    scores: list[float] = []
    for group in groups:
        rows = [scorer.format.encode(scorer.tokenizer, s.problem, s.question, s.reasoning) for s in group]
        scores += scorer._batch(rows)
    return scores


def loops(bench: Bench) -> None:
    problems = np.unique([asked.problem_id for asked in bench.questions], return_inverse=True)[1]

    def right(run: Run) -> Any:
        return np.array([float(run.answers[asked.id] == asked.item.answer) for asked in bench.questions])

    print(f"\nloops: {len(bench.questions)} questions, up to {ROUNDS} rounds")
    for voters in (VOTERS, MANY):
        first = bench.timed("published loop", partial(bench.published, voters))
        runs = []
        for adaptive in (False, True):
            name = "augen, adaptive" if adaptive else "augen"
            runs.append(bench.timed(name, partial(bench.ours, bench.engine, voters, adaptive)))
            if cores() > 1 and not torch.cuda.is_available():
                with bench.one_each() as engine:
                    runs.append(
                        bench.timed(f"{name}, {cores()} engines", partial(bench.ours, engine, voters, adaptive))
                    )
            if adaptive:
                for slots in PROGRAMS:
                    first_programs = partial(bench.ours, bench.engine, voters, adaptive, slots)
                    runs.append(bench.timed(f"augen, {slots} program{'s'[: slots - 1]} first", first_programs))
        print(f" {voters} votes")
        for run in (first, *runs):
            accuracy = cluster_mean(right(run), problems)
            print(
                f"  {run.name:<28} {run.seconds:6.1f} s  {run.samples:6,} samples  {run.tokens:8,} tokens"
                f"  accuracy {accuracy.value:.3f} ± {accuracy.se:.3f}"
            )
        for run in runs:
            difference = paired_difference(right(run), right(first), problems)
            print(
                f"  {run.name} against {first.name}: {first.seconds / run.seconds:.2f} times as fast, "
                f"{first.tokens / run.tokens:.2f} times fewer tokens, "
                f"accuracy {difference.value:+.3f} ± {difference.se:.3f}"
            )


def engine_speed(bench: Bench) -> None:
    """Our engine and vLLM alone, with the same prompts, seeds and settings, all prompts at once."""
    from vllm import SamplingParams

    requests = [bench.request(asked, slot) for asked in bench.questions for slot in range(1, VOTERS + 1)]

    def ours() -> int:
        return sum(completion.tokens for _, completion in bench.engine.generate(requests))

    def alone(alike: bool) -> int:
        """vLLM with our seeds and the log-probabilities of the tokens, or without both."""
        params = [
            SamplingParams(
                temperature=1.0,
                top_p=1.0,
                max_tokens=MAX_TOKENS,
                seed=r.seed if alike else None,
                logprobs=0 if alike else None,
            )
            for r in requests
        ]
        outputs = bench.llm.generate([r.prompt for r in requests], params, use_tqdm=False)
        return sum(len(output.outputs[0].token_ids) for output in outputs)

    def rate(write: Callable[[], int]) -> float:
        bench.llm.reset_prefix_cache()
        started = time.perf_counter()
        return write() / (time.perf_counter() - started)

    # Twice in turn, and the faster run counts, because other work on the machine can only slow a run down.
    rates = [(rate(ours), rate(lambda: alone(True)), rate(lambda: alone(False))) for _ in range(2)]
    own, alike, bare = (max(pair) for pair in zip(*rates, strict=True))
    print(f"engine: {len(requests):,} samples at once")
    print(f"  {own:,.0f} tokens/s are {own / alike:.1%} of vLLM alone with the same settings ({alike:,.0f} tokens/s),")
    print(f"  and {own / bare:.1%} of vLLM alone without seeds and log-probabilities ({bare:,.0f} tokens/s)")


def scoring_speed(bench: Bench) -> None:
    requests = [bench.request(asked, slot) for asked in bench.questions for slot in range(1, VOTERS + 1)]
    texts = [completion.text for _, completion in sorted(bench.engine.generate(requests), key=lambda pair: pair[0])]
    groups = [
        [Solution(asked.problem, asked.item, text) for text in texts[i * VOTERS : (i + 1) * VOTERS]]
        for i, asked in enumerate(bench.questions)
    ]
    samples = [sample for group in groups for sample in group]
    print(f"scoring: {len(samples):,} texts")
    for side in ("right", "left"):
        bench.scorer.tokenizer.padding_side = side
        started = time.perf_counter()
        single = one_by_one(bench.scorer, groups)
        between = time.perf_counter()
        together = bench.scorer.scores(samples)
        slow, fast = between - started, time.perf_counter() - between
        apart = max(abs(one - other) for one, other in zip(single, together, strict=True))
        print(
            f"  padding {side}: {len(samples) / fast:,.0f} texts/s by length, {len(samples) / slow:,.0f} question by "
            f"question: {slow / fast:.2f} times as fast; scores differ by {apart:.0e} at most"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.infer", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--questions", type=int, default=QUESTIONS, help="how many (default: %(default)s)")
    count = parser.parse_args().questions
    questions = questions_in(puzzle_entries(count, "benchmark", "bench"), "dev")[:count]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(questions, Path(folder))
        try:
            loops(bench)
            engine_speed(bench)
            scoring_speed(bench)
        finally:
            bench.engine.close()
            bench.default_llm.llm_engine.engine_core.shutdown()


if __name__ == "__main__":
    main()
