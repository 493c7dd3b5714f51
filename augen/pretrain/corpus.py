"""What the tiny generator is trained on: easy puzzles, in the prompt formats of the pipeline.

Other wordings and difficulties than `WORDINGS_SEEN` and `DIFFICULTIES` occur only in the default data, so that
fine-tuning has something to teach.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from augen.core.params import Prompt
from augen.entries import QuestionItem, letter_of
from augen.prompts.sections import explain_prompt, program_prompt, query_text, solve_prompt
from augen.puzzles import BASIC, MORE_WORDINGS, WORDINGS, Puzzle, make

DIFFICULTIES = (1, 2, 3)
WORDINGS_SEEN = (0, 1, *MORE_WORDINGS)
PROGRAMS = 0.5  # share of programs among the texts, the others are reasonings
EXAMPLES = ((0, 0.6), (1, 0.25), (2, 0.15))  # number of worked examples in a prompt for a reasoning, share of these
EXPLAIN_RIGHT, EXPLAIN_WRONG = 0.12, 0.12  # shares of the prompts for a reasoning that give an answer to explain


@dataclass(frozen=True)
class Sequence:
    """A text as parts ``(text, learned)``: the loss counts only the learned ones, which are reasonings or programs."""

    parts: tuple[tuple[str, bool], ...]

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.parts)


def sequences(puzzles: int, prompt: Prompt, seed: str) -> Iterator[Sequence]:
    """Training texts from `puzzles` puzzles, programs and reasonings; `prompt` has the instructions."""
    rng = Random(seed)
    for _ in range(puzzles):
        family, wording, difficulty = rng.choice(BASIC), rng.choice(WORDINGS_SEEN), rng.choice(DIFFICULTIES)
        puzzle = make(family, rng, difficulty=difficulty, wording=wording, questions=3)
        for index in range(len(puzzle.queries)):
            if rng.random() < PROGRAMS:
                yield _programmed(puzzle, index, prompt.program)
            else:
                yield _reasoned(puzzle, index, family, prompt, rng)


def _programmed(puzzle: Puzzle, index: int, instruction: str) -> Sequence:
    text = program_prompt(instruction, puzzle.entry.problem, puzzle.entry.questions[index])
    return Sequence(((text, False), (puzzle.program(index), True)))


def _reasoned(puzzle: Puzzle, index: int, family: str, prompt: Prompt, rng: Random) -> Sequence:
    dice = rng.random()
    if dice < EXPLAIN_RIGHT + EXPLAIN_WRONG and (
        explained := _explained(puzzle, index, dice < EXPLAIN_RIGHT, prompt.explain, rng)
    ):
        return explained
    examples = []
    for _ in range(rng.choices([n for n, _ in EXAMPLES], [w for _, w in EXAMPLES])[0]):
        other = make(family, rng, difficulty=rng.choice(DIFFICULTIES), wording=puzzle.world.wording, questions=1).entry
        examples.append((other.problem, other.questions[0]))
    return _solved(prompt.solve, examples, puzzle.entry.problem, puzzle.entry.questions[index])


def _solved(instruction: str, examples: list[tuple[str, QuestionItem]], problem: str, item: QuestionItem) -> Sequence:
    parts: list[tuple[str, bool]] = []
    head = instruction.strip() + "\n\n"
    for example_problem, example in examples:
        parts += [(head + solve_prompt("", example_problem, example).lstrip(), False), (f"{example.reasoning}", True)]
        head = "\n\n"
    parts.append((head + solve_prompt("", problem, item).lstrip(), False))
    parts.append((f"{item.reasoning}", True))
    return Sequence(tuple(parts))


def _explained(puzzle: Puzzle, index: int, right: bool, instruction: str, rng: Random) -> Sequence | None:
    """A prompt with the right or a wrong answer, and a reasoning for it; None if there is none for a wrong answer."""
    item = puzzle.entry.questions[index]
    reasoning: str | None
    if right:
        letter, reasoning = str(item.answer), item.reasoning
    else:
        letter = rng.choice([letter_of(i) for i in range(len(item.options)) if letter_of(i) != item.answer])
        reasoning = puzzle.wrong_reasoning(index, letter, rng)
    if reasoning is None:
        return None
    prompt = explain_prompt(instruction, puzzle.entry.problem, item, letter)
    return Sequence(((prompt, False), (reasoning, True)))


def questions_of_all_wordings(seed: str, count: int) -> Iterator[str]:
    """Problems and questions of `count` puzzles in wordings seen and unseen, for a tokenizer that knows their words."""
    rng = Random(seed)
    for _ in range(count):
        wording = rng.choice((*range(WORDINGS), *MORE_WORDINGS))
        entry = make(rng.choice(BASIC), rng, difficulty=rng.choice(DIFFICULTIES), wording=wording).entry
        yield query_text(entry.problem, entry.questions[0])


def similar_pairs(seed: str, pairs: int) -> Iterator[tuple[str, str]]:
    """Pairs of questions of one family and wording, which the embedder should place close to each other."""
    rng = Random(seed)
    for _ in range(pairs):
        family, wording = rng.choice(BASIC), rng.randrange(WORDINGS)

        def text(family: str = family, wording: int = wording) -> str:
            difficulty = rng.choice(DIFFICULTIES)
            entry = make(family, rng, difficulty=difficulty, wording=wording, questions=1).entry
            return query_text(entry.problem, entry.questions[0])

        yield text(), text()
