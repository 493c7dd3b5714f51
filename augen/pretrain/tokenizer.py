"""A byte-level BPE of the project's own.

The words that matter in puzzles (names, things, digits, letters, signs) are one token each, wherever they stand, so
that looking a word up and copying it works the same everywhere. So are the pieces between the words of a program:
``rel("己","弟弟","甲").`` with its line end is 7 tokens. The text between them is merged as BPE learns it, and any
other text can be spelled byte by byte.
"""

import json
import re
from collections.abc import Iterable

from tokenizers import Regex, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split
from tokenizers.trainers import BpeTrainer
from transformers import AddedToken, Qwen2Tokenizer

from augen.prompts.sections import ANSWER, PROBLEM, PROGRAM, QUESTION, REASONING
from augen.puzzles import BASIC
from augen.puzzles.families import words
from augen.puzzles.families.dial import PARITY
from augen.puzzles.families.kinship import TOGETHER
from augen.puzzles.families.knights import KNAVE, KNIGHT

HEADINGS = tuple(f"{heading}\n" for heading in (PROBLEM, QUESTION, ANSWER, REASONING))
END, PAD = "<|endoftext|>", "<|pad|>"
MAX_TOKEN_BYTES = len("### 分析过程\n".encode())  # five Chinese characters: longer merges would hide a changed word

# What stands between the words of a program: predicates up to their first argument, what separates and what ends.
_TEXT_FACTS = ("rel", "says", "known", "likes", "rule", "helps", "has", "allergic", "over", "road", "first", "after")
_TEXT_GOALS = ("reach", "safe", "kin", "is", "above")
_NUMBER_FACTS = ("at", "turn", "start", "op", "pos")
# fmt: off
_SIGNS = (
    '","', '",', ',"', '",("', '";"', '").\n', '").', ").\n", '")).\n',
    ",append,", ",prepend,", ",behead).\n", ",curtail).\n", ",reverse).\n",
    "yes :- ", "N = #count{D : ", "N = #count{X : ", ")}.", '")}.', '",D)}.', ",V).", ",X).", '",X).', '",D).', '",K).',
    '",R,"', 'is(X,"', 'kin(X,"', "pos(X,", 'at(I,"', "last(X).", "last(V)", "first(V).", "size(N).", "final(I,V).",
)
# fmt: on
PIECES = (
    f"{PROGRAM}\n",
    *(f"#use {name}.\n" for name in BASIC),
    *(f'{name}("' for name in (*_TEXT_FACTS, *_TEXT_GOALS)),
    *(f"{name}(" for name in _NUMBER_FACTS),
    *(f"answer({names}) :- " for names in ("X", "V", "N", "K", "R", "D", "I", "I,V")),
    *_SIGNS,
)


def _atoms() -> list[str]:
    """Every word that names something in a puzzle, longest first."""
    pools = [value for value in vars(words).values() if isinstance(value, tuple) and isinstance(value[0], str)]
    kin = {r for pair, result in TOGETHER.items() for r in (*pair, result)}
    return sorted({w for pool in pools for w in pool} | kin | {KNIGHT, KNAVE, *PARITY}, key=lambda w: (-len(w), w))


def build_tokenizer(texts: Iterable[str], vocabulary: int) -> Qwen2Tokenizer:
    """A tokenizer whose merges are learned from `texts`: `vocabulary` learned tokens and the `PIECES` of programs."""
    atoms = "|".join(re.escape(w) for w in _atoms())
    pieces = rf"{atoms}|\n|[0-9]|[A-Z]|[a-z]+|[\u4e00-\u9fff]+|[^\u4e00-\u9fff0-9A-Za-z\n]"
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = Sequence(
        [
            Split(Regex("### [\u4e00-\u9fff]+\n|\n\n"), behavior="isolated"),
            # words first, also inside a run of characters: 小明喜欢苹果 is 小明 + 喜欢 + 苹果
            Split(Regex(f"(?:{atoms})"), behavior="isolated"),
            Split(Regex(f"### [\u4e00-\u9fff]+\n|\n\n|{pieces}"), behavior="isolated"),
            ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END, PAD],
        initial_alphabet=ByteLevel.alphabet(),
        max_token_length=MAX_TOKEN_BYTES,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _as_qwen2(tokenizer, PIECES)


def _as_qwen2(tokenizer: Tokenizer, added: Iterable[str]) -> Qwen2Tokenizer:
    """The same tokens with the same ids as a ``Qwen2Tokenizer``, the class that ``AutoTokenizer`` loads for any Qwen2.

    That class splits texts by rules of its own; of ours it keeps only the vocabulary and the added tokens. It finds
    added tokens before it splits, so the atoms become added tokens.
    """
    model = json.loads(tokenizer.to_str())["model"]
    vocabulary, merges = dict(model["vocab"]), [tuple(merge) for merge in model["merges"]]
    parts = [tokenizer.decode([i]) for heading in HEADINGS for i in tokenizer.encode(heading).ids]
    spelled = {_spelled(atom): atom for atom in [*_atoms(), *parts]}
    learned = {spelling: atom for spelling, atom in spelled.items() if spelling in vocabulary}
    for spelling, atom in learned.items():
        vocabulary[atom] = vocabulary.pop(spelling)
    merges = [merge for merge in merges if learned.keys().isdisjoint((*merge, "".join(merge)))]
    qwen2 = Qwen2Tokenizer(
        vocab=vocabulary,
        merges=merges,
        unk_token=None,
        eos_token=END,
        pad_token=PAD,
        padding_side="left",
        model_max_length=2048,
    )
    qwen2.add_tokens([AddedToken(atom, normalized=False) for atom in (*learned.values(), *added)])
    return qwen2


def _spelled(text: str) -> str:
    """`text` as a byte-level vocabulary writes it: one letter per byte."""
    return ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)[0][0]
