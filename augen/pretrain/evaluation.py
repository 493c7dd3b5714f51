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
    shares = {}
    for family, items in questions.items():
        texts = written(model, tokenizer, [solve_prompt(prompt.solve, *asked) for asked in items], **greedy)
        programs = written(model, tokenizer, [program_prompt(prompt.program, *asked) for asked in items], **greedy)
        right = sum(parse_answer(t, len(q.options)) == q.answer for t, (_, q) in zip(texts, items, strict=True))
        same = sum(text.strip() == q.program for text, (_, q) in zip(programs, items, strict=True))
        shares[family] = right / len(items), same / len(items)
    return shares
