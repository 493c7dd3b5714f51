"""A small grammar: which strings of words are sentences."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import ClassVar, Self

from augen.puzzles.base import NO, YES, Proved, Query, lettered, nth, pick, put, spelled, yes, yes_no
from augen.puzzles.solver import NotProved, Proof, fact

SENTENCE = "句子"
LONGEST = 8  # words of a string; a step packs two positions into two digits
CLASSES = ("冠词", "名词", "形容词", "动词", "副词")
CHINESE = {
    "冠词": ("这个", "那个", "一个"),
    "名词": ("猫", "男孩", "苹果", "老师", "鸟"),
    "形容词": ("红", "大", "快乐", "新"),
    "动词": ("吃", "看见", "喜欢", "追"),
    "副词": ("慢慢", "常常", "马上"),
}
_SYLLABLES = tuple(a + b for a, b in itertools.product("bdfgklmnprst", "aeiou"))
_STEPS = "step(S,100*(J-I)+10*(I-1)+J-1,A) :- span(S,I,J,A)."
Rule = tuple[str, str, str]  # (whole, first part, second part or nothing)


@dataclass(frozen=True)
class Grammar(Proved):
    uses: ClassVar = "grammar"
    steps: ClassVar = _STEPS

    rules: tuple[Rule, ...]
    words: tuple[tuple[str, tuple[str, ...]], ...]  # (class, its words)
    groups: tuple[tuple[tuple[str, ...], ...], ...]  # strings to choose among
    wording: int

    @classmethod
    def draw(cls, rng: Random, difficulty: int, wording: int) -> Self:
        def either(a: str, b: str) -> tuple[str, str]:
            return (a, b) if rng.random() < 0.5 else (b, a)

        rules: list[Rule] = [(SENTENCE, *either("名词组", "动词组"))]
        rules.append(("名词组", *either("冠词", "名词")))
        classes = {"冠词", "名词", "动词"}
        if difficulty > 1:
            rules.append(("动词组", *either("动词", "名词组")))
        if difficulty != 3:
            rules.append(("动词组", "动词", ""))
        if difficulty > 2:
            rules[1] = ("名词组", *either("冠词", "核心"))
            rules += [("核心", "名词", ""), ("核心", *either("形容词", "核心"))]
            classes.add("形容词")
        if difficulty in (1, 4, 5):
            rules.append(("动词组", *either("副词", "动词组")))
            classes.add("副词")
        foreign = rng.random() < 0.5
        made_up = list(pick(rng, _SYLLABLES, 20))
        words = []
        for name in (c for c in CLASSES if c in classes):
            count = rng.randrange(2, 4)
            words.append(
                (name, tuple(made_up.pop() for _ in range(count)) if foreign else pick(rng, CHINESE[name], count))
            )
        world = cls(tuple(rules), tuple(words), (), wording)
        groups = []
        for _ in range(3):
            right = world._sentence(rng)
            near = [world._mistaken(right, rng) if i % 2 else world._spoiled(right, rng) for i in range(16)]
            near = [text for text in near if text != right and len(text) <= LONGEST]
            if len(right) <= LONGEST and len(set(near)) > 3:
                groups.append((right, *list(dict.fromkeys(near))[:4]))
        if not groups:
            raise NotProved("no sentence of a fitting length")
        return replace(world, groups=tuple(groups))

    def _sentence(self, rng: Random) -> tuple[str, ...]:
        """A random sentence; the solver proves that it is one."""
        words = dict(self.words)

        def grown(name: str, depth: int) -> list[str]:
            if name in words:
                return [rng.choice(words[name])]
            fitting = [r for r in self.rules if r[0] == name]
            plain = [r for r in fitting if name not in r[1:]]
            rule = rng.choice(plain if depth > 2 and plain else fitting)
            return [w for part in rule[1:] if part for w in grown(part, depth + (part == name))]

        return tuple(grown(SENTENCE, 0))

    def _mistaken(self, right: tuple[str, ...], rng: Random) -> tuple[str, ...]:
        """A sentence of a slightly different grammar, preferably of the same length."""
        other = self.changed(rng)
        texts = [other._sentence(rng) for _ in range(4)]
        return next((text for text in texts if len(text) == len(right)), texts[0])

    def _spoiled(self, right: tuple[str, ...], rng: Random) -> tuple[str, ...]:
        text = list(right)
        i = rng.randrange(len(text))
        match rng.randrange(4):
            case 0:
                j = rng.randrange(len(text))
                text[i], text[j] = text[j], text[i]
            case 1 if len(text) > 2:
                del text[i]
            case 2:
                text.insert(i, rng.choice([w for _, words in self.words for w in words]))
            case _:
                text[i] = rng.choice([w for _, words in self.words for w in words])
        return tuple(text)

    def problem(self) -> str:
        head = ("一种语法：", "一个小语法只有下面的规则：", "按下面的规则组成的才是句子，别的都不是。")[self.wording]
        lines = []
        for name in dict.fromkeys(rule[0] for rule in self.rules):
            ways = [self._joined(rule[1:]) for rule in self.rules if rule[0] == name]
            lines.append(("{a}={b}", "{a}由{b}组成", "{a}→{b}")[self.wording].format(a=name, b="，或者".join(ways)))
        word = ("{c}：{w}", "{c}有{w}", "{c}→{w}")[self.wording]
        lines += [word.format(c=c, w=("、", "、", "|")[self.wording].join(words)) for c, words in self.words]
        return head + "\n" + "".join(f"{line}。" for line in lines)

    def _joined(self, parts: Sequence[str]) -> str:
        return ("+", "后接", " ")[self.wording].join(p for p in parts if p)

    def facts(self) -> list[str]:
        names = dict.fromkeys(rule[0] for rule in self.rules)
        rules = [fact("rule", *(p for p in rule if p)) for name in names for rule in self.rules if rule[0] == name]
        return rules + [fact("class", w, c) for c, words in self.words for w in words]

    def queries(self) -> Iterator[Query]:
        for g, group in enumerate(self.groups):
            shown = tuple(_shown(text) for text in group)
            rules = "".join(spelled(s, text) for s, text in enumerate(group)) + "answer(S) :- sentence(S)."
            write = partial(self._parsed, group)
            yield Query("下面哪一串是句子？", rules, write, shown, partial(nth, shown), f"which {g}", 4, _which)
            for text in group[:3]:
                question, write = f"“{_shown(text)}”是句子吗？", partial(self._parsed, (text,))
                rules, ask = spelled(0, text) + yes_no("sentence(0)"), spelled(1, text) + "\n" + yes("sentence(1)")
                yield Query(question, rules, write, (YES, NO), key=_shown(text), ask=ask)
        for word in dict.fromkeys(self.groups[0][0][:2]):
            ask, step = f'answer(C) :- class("{word}",C).', f'step(0,C) :- class("{word}",C).'
            classes, write = tuple(c for c, _ in self.words), partial(self._classed, word)
            yield Query(f"“{word}”是哪一类词？", ask + step, write, classes, key=f"class {word}", ask=ask)

    def _classed(self, word: str, proof: Proof) -> str:
        classes = dict(self.words)
        return "\n".join(f"{c}：{'、'.join(classes[str(c)])}，有{word}" for _, c in proof.steps)

    def _parsed(self, texts: Sequence[tuple[str, ...]], proof: Proof) -> str:
        """The parts that the solver found in each string, the shortest first."""
        lines = []
        for s, text in enumerate(texts):
            spans = [(int(code), str(name)) for k, code, name in proof.steps if k == s]
            classes = [name for code, name in spans if code < 200 and name in CLASSES]
            lines.append(f"“{_shown(text)}”：{'、'.join(classes)}")
            whole = False
            for code, name in spans:
                i, j = code // 10 % 10, code % 10
                if name in CLASSES:
                    continue
                lines.append(f"{name}：{_shown(text[i:j])}")
                whole = whole or (name == SENTENCE and (i, j) == (0, len(text)))
            lines.append("整串是句子" if whole else "整串不是句子")
        return "\n".join(lines)

    def changed(self, rng: Random) -> Self:
        """One rule reverses its parts or changes one, or one word moves to another class."""
        if rng.random() < 0.3:
            i, j = rng.sample(range(len(self.words)), 2)
            words = list(self.words)
            (c, some), (d, others) = words[i], words[j]
            if len(some) > 1:
                word = rng.choice(some)
                words[i], words[j] = (c, tuple(w for w in some if w != word)), (d, (*others, word))
            return replace(self, words=tuple(words))
        i = rng.randrange(len(self.rules))
        a, b, c = self.rules[i]
        names = [c for c, _ in self.words]
        rule = (a, c, b) if c and rng.random() < 0.5 else (a, b, rng.choice(["", *names]))
        if a in rule[1:] and not rule[2]:
            return self  # a rule that only repeats its own name
        return replace(self, rules=put(self.rules, i, rule))


def _which(options: Sequence[str]) -> str:
    """The question which of the `options` is a sentence, as a program asks it."""
    return "\n".join([*(spelled(a, option.split()) for a, option in lettered(options)), "pick(S) :- sentence(S)."])


def _shown(text: Sequence[str]) -> str:
    return " ".join(text)
