"""A made-up language: a table of words, a word order, and rules for adjectives, plural and negation."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import ClassVar, Self

from augen.puzzles.base import NO, YES, Proved, Query, lettered, nth, pick, spelled, yes, yes_no
from augen.puzzles.solver import Proof, fact

NOUNS = ("猫", "狗", "鸟", "鱼", "马", "羊", "老师", "孩子")
VERBS = ("追", "怕", "找", "等", "帮", "喜欢")
ADJECTIVES = ("大", "小", "白", "黑")
ORDERS = ("SOV", "OSV", "VSO", "VOS", "OVS", "SVO")
ROLES = {"S": "主语", "O": "宾语", "V": "动词"}
_ROOTS = tuple(
    a + b for a, b in itertools.product(("mi", "to", "ka", "nu", "se", "ro"), ("la", "pe", "ku", "zi", "no"))
)
_SUFFIXES = ("ri", "ta", "wo", "ne")
_TOKENS = "step(I,W) :- said(1,I,W)."
Part = tuple[str, str, bool]  # (word, adjective or empty, plural; for the verb: negated)
Meaning = tuple[Part, Part, Part]  # subject, object, verb
Text = tuple[str, ...]


@dataclass(frozen=True)
class Lexicon(Proved):
    uses: ClassVar = "lexicon"

    words: tuple[tuple[str, str], ...]  # (Chinese, foreign)
    order: str  # of subject, object and verb
    adjective_first: bool
    denial_first: bool
    plural: str  # suffix; empty if the language does not mark the plural
    denial: str  # word; empty if there is no negation
    meanings: tuple[Meaning, ...]  # what is asked about
    texts: tuple[tuple[Text, ...], ...]  # the options for each meaning, the right one first
    wording: int

    @classmethod
    def draw(cls, rng: Random, difficulty: int, wording: int) -> Self:
        nouns, verbs = pick(rng, NOUNS, 3 + difficulty // 3), pick(rng, VERBS, 2)
        adjectives = pick(rng, ADJECTIVES, 2) if difficulty > 2 else ()
        concepts = (*nouns, *verbs, *adjectives)
        roots = pick(rng, _ROOTS, len(concepts) + 1)
        plural = rng.choice(_SUFFIXES) if difficulty > 1 else ""
        denial = roots[-1] if difficulty > 3 or difficulty == 1 else ""
        order = rng.choice(ORDERS[:5])
        words = tuple(zip(concepts, roots[:-1], strict=True))
        meanings: list[Meaning] = []
        for _ in range(3):
            subject, other = rng.sample(nouns, 2)
            first, second = (
                (x, rng.choice(("", *adjectives)), bool(plural) and rng.random() < 0.5) for x in (subject, other)
            )
            meanings.append((first, second, (rng.choice(verbs), "", bool(denial) and rng.random() < 0.6)))
        before, denied = rng.random() < 0.4, rng.random() < 0.4
        shuffled = tuple(rng.sample(words, len(words)))
        world = cls(shuffled, order, before, denied, plural, denial, tuple(dict.fromkeys(meanings)), (), wording)
        return replace(world, texts=tuple((world._tokens(m), *world._near_texts(m)[:4]) for m in world.meanings))

    def problem(self) -> str:
        head = ("一种语言的词汇和语法：", "某个小岛上的人这样说话：", "下面是一种人造语言的全部规则。")[self.wording]
        pair = ("{f}是{c}", "{c}叫{f}", "“{c}”说成{f}")[self.wording]
        table = "，".join(pair.format(c=c, f=f) for c, f in self.words)
        order = "、".join(ROLES[r] for r in self.order)
        rules = [("句子的顺序是{o}", "先后次序为{o}", "一句话按{o}的顺序说")[self.wording].format(o=order)]
        if any(c in ADJECTIVES for c, _ in self.words):
            rules.append("形容词放在名词" + _side(self.adjective_first))
        if self.plural:
            rules.append(
                ("复数在名词后加-{p}", "名词后面加-{p}表示“们”", "“们”用名词后的-{p}表示")[self.wording].format(
                    p=self.plural
                )
            )
        if self.denial:
            text = ("否定在动词{s}加{d}", "“不”叫{d}，放在动词{s}", "动词{s}的{d}表示“不”")[self.wording]
            rules.append(text.format(s=_side(self.denial_first), d=self.denial))
        return f"{head}\n词：{table}。\n" + "".join(f"{i}.{rule}。" for i, rule in enumerate(rules, start=1))

    def facts(self) -> list[str]:
        facts = [fact("word", c, f) for c, f in self.words]
        facts += [fact("order", i, ROLES[r]) for i, r in enumerate(self.order, start=1)]
        if any(c in ADJECTIVES for c, _ in self.words):
            facts.append(fact("adjective", _side(self.adjective_first)))
        facts += [fact("plural", f"-{self.plural}")] if self.plural else []
        facts += [fact("denial", self.denial, _side(self.denial_first))] if self.denial else []
        return facts

    def queries(self) -> Iterator[Query]:
        for m, (meaning, texts) in enumerate(zip(self.meanings, self.texts, strict=True)):
            said, shown = _chinese(meaning), tuple(_shown(text) for text in texts)
            means, write = _meaning(1, meaning), partial(self._spoken, meaning)
            given = "".join(spelled(t, text) for t, text in enumerate(texts))
            rules, how = means + given + "answer(T) :- says(T,1)." + _TOKENS, partial(_how, meaning)
            yield Query(f"“{said}”怎么说？", rules, write, shown, partial(nth, shown), f"say {m}", 4, how)
            for t, text in enumerate(texts[:2]):
                question, goal = f"“{said}”可以说成“{shown[t]}”吗？", "says(1,1)"
                rules = means + spelled(1, text) + yes_no(goal) + _TOKENS
                ask = "\n".join([means, spelled(1, text), yes(goal)])
                yield Query(question, rules, write, (YES, NO), key=f"may {m} {t}", ask=ask)
            others = {_chinese(other): other for other in [meaning, *self._near_meanings(meaning)][:5]}
            rules = spelled(0, texts[0]) + "".join(_meaning(n, other) for n, other in enumerate(others.values()))
            rules += "answer(M) :- says(0,M). step(I,W) :- text(0,I,W)."
            meant, question = tuple(others), f"“{shown[0]}”是什么意思？"
            what = partial(_what, texts[0], others)
            yield Query(question, rules, self._understood, meant, partial(nth, meant), f"mean {m}", ask=what)
        for chinese, foreign in self.words[:2]:
            rest = tuple(f for c, f in self.words if c != chinese)
            ask, step = f'answer(W) :- word("{chinese}",W).', f'step(0,W) :- word("{chinese}",W).'
            question, write = f"“{chinese}”用这种语言怎么说？", partial(self._looked_up, chinese)
            yield Query(question, ask + step, write, (foreign, *rest), key=chinese, ask=ask)

    def _tokens(self, meaning: Meaning) -> Text:
        """`meaning` in the made-up language: for asking only; answers come from the solver."""
        words, parts = dict(self.words), dict(zip("SOV", meaning, strict=True))
        tokens: list[str] = []
        for role in self.order:
            word, adjective, mark = parts[role]
            core = [words[word], *([f"-{self.plural}"] if mark and role != "V" else [])]
            side = [words[adjective]] if adjective else [self.denial] if mark and role == "V" else []
            first = self.denial_first if role == "V" else self.adjective_first
            tokens += side + core if first else core + side
        return tuple(tokens)

    def _near_texts(self, meaning: Meaning) -> list[Text]:
        """Texts with one rule of the grammar ignored, and texts of similar meanings."""
        slips = [replace(self, order="SVO"), replace(self, order=self.order[::-1])]
        if any(adjective for _, adjective, _ in meaning):
            slips.insert(0, replace(self, adjective_first=not self.adjective_first))
        if meaning[2][2]:
            slips.insert(0, replace(self, denial_first=not self.denial_first))
        texts = [world._tokens(meaning) for world in slips]
        near = [self._tokens(other) for other in self._near_meanings(meaning)]
        mixed = [x for pair in itertools.zip_longest(texts[:2], near) for x in pair if x] + texts[2:]
        return [t for t in dict.fromkeys(mixed) if t != self._tokens(meaning)]

    def _near_meanings(self, meaning: Meaning) -> list[Meaning]:
        subject, other, verb = meaning
        near: list[Meaning] = [(other, subject, verb)]
        if self.plural:
            near.append(((*subject[:2], not subject[2]), other, verb))
            near.append((subject, (*other[:2], not other[2]), verb))
        if self.denial:
            near.append((subject, other, (*verb[:2], not verb[2])))
        if subject[1] != other[1]:
            near.append(((subject[0], other[1], subject[2]), (other[0], subject[1], other[2]), verb))
        verbs = [c for c, _ in self.words if c in VERBS and c != verb[0]]
        near += [(subject, other, (instead, *verb[1:])) for instead in verbs[:1]]
        return near

    def _glossed(self, word: str) -> str:
        if word == f"-{self.plural}":
            return "们"
        return "不" if word == self.denial else next((c for c, f in self.words if f == word), "？")

    def _spoken(self, meaning: Meaning, proof: Proof) -> str:
        words = [str(w) for _, w in proof.steps]
        table = "，".join(f"{self._glossed(w)}={w}" for w in words)
        return f"{self._roles(meaning)}\n顺序：{'、'.join(ROLES[r] for r in self.order)}\n{table}\n{_shown(words)}"

    def _roles(self, meaning: Meaning) -> str:
        return "，".join(f"{name}是{part}" for name, part in zip(ROLES.values(), _parts(meaning), strict=True))

    def _understood(self, proof: Proof) -> str:
        words = [str(w) for _, w in proof.steps]
        table = "，".join(f"{w}={self._glossed(w)}" for w in words)
        return f"{table}\n顺序：{'、'.join(ROLES[r] for r in self.order)}"

    def _looked_up(self, chinese: str, proof: Proof) -> str:
        return f"{chinese}={proof.steps[0][1]}"

    def changed(self, rng: Random) -> Self:
        """One rule of the grammar changes, or two words of the table are swapped."""
        kind = rng.random()
        if kind < 0.4:
            return replace(self, order=rng.choice(ORDERS))
        if kind < 0.5:
            return replace(self, adjective_first=not self.adjective_first)
        if kind < 0.6:
            return replace(self, denial_first=not self.denial_first)
        i, j = rng.sample(range(len(self.words)), 2)
        words = list(self.words)
        words[i], words[j] = (words[i][0], words[j][1]), (words[j][0], words[i][1])
        return replace(self, words=tuple(words))


def _side(first: bool) -> str:
    return "前面" if first else "后面"


def _meaning(name: str | int, meaning: Meaning) -> str:
    """The facts that say what `name` means."""
    facts = []
    for role, (word, adjective, mark) in zip(ROLES.values(), meaning, strict=True):
        facts.append(f'part({name},"{role}","{word}").')
        facts += [f'quality({name},"{role}","{adjective}").'] if adjective else []
        facts += [f"denied({name})." if role == ROLES["V"] else f'many({name},"{role}").'] if mark else []
    return " ".join(facts)


def _how(meaning: Meaning, options: Sequence[str]) -> str:
    """The question which of the `options` says `meaning`, as a program asks it."""
    texts = [spelled(a, option.replace("-", " -").split()) for a, option in lettered(options)]
    return "\n".join([_meaning(1, meaning), *texts, "pick(T) :- says(T,1)."])


def _what(text: Text, meanings: Mapping[str, Meaning], options: Sequence[str]) -> str:
    """The question which of the `options` is what `text` means, as a program asks it."""
    offered = [_meaning(a, meanings[option]) for a, option in lettered(options)]
    return "\n".join([spelled(1, text), *offered, "pick(M) :- says(1,M)."])


def _parts(meaning: Meaning) -> list[str]:
    subject, other, verb = meaning
    nouns = [adjective + word + ("们" if plural else "") for word, adjective, plural in (subject, other)]
    return [*nouns, ("不" if verb[2] else "") + verb[0]]


def _chinese(meaning: Meaning) -> str:
    subject, other, verb = _parts(meaning)
    return subject + verb + other


def _shown(tokens: Sequence[str]) -> str:
    return " ".join(tokens).replace(" -", "-")
