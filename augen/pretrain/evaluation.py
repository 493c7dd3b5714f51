"""How well the tiny generator solves puzzles, family by family, while it is trained."""

from collections.abc import Sequence
from random import Random

import torch
from transformers import PreTrainedTokenizerBase, Qwen2ForCausalLM

from augen.answers import parse_answer
from augen.entries import QuestionItem
from augen.prompts.sections import solve_prompt
from augen.puzzles import BASIC, make


def held_out(
    seed: str, each: int, difficulties: Sequence[int], wordings: Sequence[int]
) -> dict[str, list[tuple[str, QuestionItem]]]:
    """`each` questions of every basic family, one a puzzle."""
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
    max_tokens: int = 160,
) -> dict[str, float]:
    """Share of questions answered rightly by greedy decoding, without examples."""
    model.eval()
    return {
        family: sum(_solve(model, tokenizer, items, instruction, max_tokens)) / len(items)
        for family, items in questions.items()
    }


@torch.inference_mode()
def _solve(
    model: Qwen2ForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    items: list[tuple[str, QuestionItem]],
    instruction: str,
    max_tokens: int,
) -> list[bool]:
    prompts = [solve_prompt(instruction, problem, item) for problem, item in items]
    inputs = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
    out = model.generate(
        input_ids=inputs["input_ids"],
        attention_mask=inputs["attention_mask"],
        max_new_tokens=max_tokens,
        do_sample=False,
        pad_token_id=tokenizer.pad_token_id,
    )
    texts = tokenizer.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return [parse_answer(text, len(item.options)) == item.answer for text, (_, item) in zip(texts, items, strict=True)]
