"""How well the tiny generator solves puzzles of each family, and states them as programs, while it is trained."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from transformers import PreTrainedTokenizerBase, Qwen2ForCausalLM

from augen.answers import parse_answer
from augen.core.params import Prompt
from augen.entries import QuestionItem
from augen.pretrain.generator import written
from augen.prompts.sections import program_prompt, solve_prompt
from augen.puzzles import BASIC, make

MAX_TOKENS = 200


def held_out(
    seed: str, each: int, difficulties: Sequence[int], wordings: Sequence[int]
) -> dict[str, list[tuple[str, QuestionItem]]]:
    """`each` questions of every basic family, each from a puzzle of its own."""
    rng = Random(seed)
    found: dict[str, list[tuple[str, QuestionItem]]] = {}
    for family in BASIC:
        for i in range(each):
            puzzle = make(
                family, rng, difficulty=difficulties[i % len(difficulties)], wording=rng.choice(wordings), questions=1
            )
            item = replace(puzzle.entry.questions[0], program=puzzle.program(0))
            found.setdefault(family, []).append((puzzle.entry.problem, item))
    return found


def accuracy_by_family(
    model: Qwen2ForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    questions: dict[str, list[tuple[str, QuestionItem]]],
    prompt: Prompt,
) -> dict[str, tuple[float, float]]:
    """By greedy decoding, without examples: the shares of right answers, and of programs that are the puzzle's own."""
    greedy = {"max_new_tokens": MAX_TOKENS, "do_sample": False}
    asked = [question for items in questions.values() for question in items]
    texts = iter(written(model, tokenizer, [solve_prompt(prompt.solve, *question) for question in asked], **greedy))
    programs = iter(
        written(model, tokenizer, [program_prompt(prompt.program, *question) for question in asked], **greedy)
    )
    shares = {}
    for family, items in questions.items():
        right = [parse_answer(next(texts), len(item.options)) == item.answer for _, item in items]
        same = [next(programs).strip() == item.program for _, item in items]
        shares[family] = sum(right) / len(items), sum(same) / len(items)
    return shares
