"""How well the tiny generator solves puzzles of each family while it is trained."""

from collections.abc import Sequence
from random import Random

from transformers import PreTrainedTokenizerBase, Qwen2ForCausalLM

from augen.answers import parse_answer
from augen.entries import QuestionItem
from augen.pretrain.generator import written
from augen.puzzles import BASIC, make

MAX_TOKENS = 160


def held_out(
    seed: str, each: int, difficulties: Sequence[int], wordings: Sequence[int]
) -> dict[str, list[tuple[str, QuestionItem]]]:
    """`each` questions of every basic family, each from a puzzle of its own."""
    rng = Random(seed)
    found: dict[str, list[tuple[str, QuestionItem]]] = {}
    for family in BASIC:
        for i in range(each):
            entry = make(
                family, rng, difficulty=difficulties[i % len(difficulties)], wording=rng.choice(wordings), questions=1
            ).entry
            found.setdefault(family, []).append((entry.problem, entry.questions[0]))
    return found


def accuracy_by_family(
    model: Qwen2ForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    questions: dict[str, list[tuple[str, QuestionItem]]],
    instruction: str,
) -> dict[str, float]:
    """The share of questions answered right by greedy decoding, without examples."""
    shares = {}
    for family, items in questions.items():
        texts = written(model, tokenizer, items, instruction, max_new_tokens=MAX_TOKENS, do_sample=False)
        answers = [parse_answer(text, len(item.options)) for text, (_, item) in zip(texts, items, strict=True)]
        shares[family] = sum(a == item.answer for a, (_, item) in zip(answers, items, strict=True)) / len(items)
    return shares
