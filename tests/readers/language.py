"""Readers of the families about languages: a made-up one, and a grammar."""

import itertools
import re

from tests.puzzle_readers import listed, match, said, unread

ADJECTIVES = "大小白黑"


class Lexicon:
    def __init__(self, problem: str) -> None:
        _, table, rules = problem.split("\n")
        self.words: dict[str, str] = {}
        for pair in table.removeprefix("词：").removesuffix("。").split("，"):
            if g := match("([a-z]+)是(.+)", pair):
                self.words[g[1]] = g[0]
            elif g := match("(.+)叫([a-z]+)", pair) or match("“(.+)”说成([a-z]+)", pair):
                self.words[g[0]] = g[1]
            else:
                raise unread(pair)
        self.order: list[str] = []
        self.plural = self.denial = ""
        self.adjective_first = self.denial_first = False
        for rule in rules.removesuffix("。").split("。"):
            text = rule.partition(".")[2]
            if g := match("(?:句子的顺序是|先后次序为)(.+)", text) or match("一句话按(.+)的顺序说", text):
                self.order = listed(g[0])
            elif g := match("形容词放在名词(前面|后面)", text):
                self.adjective_first = g[0] == "前面"
            elif (
                g := match("复数在名词后加-([a-z]+)", text)
                or match("名词后面加-([a-z]+)表示“们”", text)
                or match("“们”用名词后的-([a-z]+)表示", text)
            ):
                self.plural = g[0]
            elif g := match("否定在动词(前面|后面)加([a-z]+)", text) or match(
                "动词(前面|后面)的([a-z]+)表示“不”", text
            ):
                self.denial_first, self.denial = g[0] == "前面", g[1]
            elif g := match("“不”叫([a-z]+)，放在动词(前面|后面)", text):
                self.denial_first, self.denial = g[1] == "前面", g[0]
            else:
                raise unread(text)

    def _noun(self, text: str) -> list[str]:
        plural, text = text.endswith("们"), text.removesuffix("们")
        adjective = text[0] if text not in self.words and text[0] in ADJECTIVES else ""
        noun = self.words[text.removeprefix(adjective)] + (f"-{self.plural}" if plural else "")
        parts = [self.words[adjective], noun] if adjective else [noun]
        return parts if self.adjective_first else parts[::-1]

    def _translated(self, sentence: str) -> str:
        nouns = "|".join(w for w in self.words if w not in ADJECTIVES)
        g = match(f"([{ADJECTIVES}]?(?:{nouns})们?)(不?)({nouns})([{ADJECTIVES}]?(?:{nouns})们?)", sentence)
        if not g:
            raise unread(sentence)
        verb = [self.words[g[2]]]
        if g[1]:
            verb = [self.denial, *verb] if self.denial_first else [*verb, self.denial]
        parts = {"主语": self._noun(g[0]), "动词": verb, "宾语": self._noun(g[3])}
        return " ".join(word for role in self.order for word in parts[role])

    def right(self, question: str, option: str) -> bool:
        if g := match("“(.+)”用这种语言怎么说？", question):
            return option == self.words[g[0]]
        if g := match("“(.+)”怎么说？", question):
            return option == self._translated(g[0])
        if g := match("“(.+)”可以说成“(.+)”吗？", question):
            return option == said(question, self._translated(g[0]) == g[1])
        if g := match("“(.+)”是什么意思？", question):
            return self._translated(option) == g[0]
        raise unread(question)

    def true(self, steps: str) -> bool:
        sentence = ""
        table = self.words | {"们": f"-{self.plural}", "不": self.denial}
        for line in steps.splitlines():
            if g := match("主语是(.+)，宾语是(.+)，动词是(.+)", line):
                sentence = g[0] + g[2] + g[1]
            elif g := match("顺序：(.+)", line):
                if listed(g[0]) != self.order:
                    return False
            elif "=" in line:
                pairs = [pair.split("=") for pair in line.split("，")]
                if any(table.get(a) != b and table.get(b) != a for a, b in pairs):
                    return False
            elif line != self._translated(sentence):
                return False
        return True


class Grammar:
    LONGEST = 9

    def __init__(self, problem: str) -> None:
        _, rules = problem.split("\n")
        self.ways: dict[str, list[list[str]]] = {}
        self.classes: dict[str, list[str]] = {}
        for text in rules.removesuffix("。").split("。"):
            if g := match("(句子|.{1,2}组|核心)=(.+)", text):
                self._add(g[0], [way.split("+") for way in g[1].split("，或者")])
            elif g := match("(句子|.{1,2}组|核心)由(.+)组成", text):
                self._add(g[0], [way.split("后接") for way in g[1].split("，或者")])
            elif g := match("(句子|.{1,2}组|核心)→(.+)", text):
                self._add(g[0], [way.split(" ") for way in g[1].split("，或者")])
            elif g := match("(.+)(?:：|有|→)(.+)", text):
                self.classes[g[0]] = re.split("[、|]", g[1])
            else:
                raise unread(text)
        # every row of word classes that each part can be, up to a length
        self.rows: dict[str, set[tuple[str, ...]]] = {c: {(c,)} for c in self.classes}
        while True:
            before = sum(map(len, self.rows.values()))
            for name, ways in self.ways.items():
                for way in ways:
                    parts = [self.rows.get(part, set()) for part in way]
                    rows = (tuple(itertools.chain(*row)) for row in itertools.product(*parts))
                    self.rows.setdefault(name, set()).update(row for row in rows if len(row) <= self.LONGEST)
            if sum(map(len, self.rows.values())) == before:
                break

    def _add(self, name: str, ways: list[list[str]]) -> None:
        self.ways.setdefault(name, []).extend(ways)

    def _is(self, name: str, text: str) -> bool:
        options = [[c for c, words in self.classes.items() if w in words] for w in text.split(" ")]
        return any(row in self.rows.get(name, set()) for row in itertools.product(*options))

    def right(self, question: str, option: str) -> bool:
        if question == "下面哪一串是句子？":
            return self._is("句子", option)
        if g := match("“(.+)”是句子吗？", question):
            return option == said(question, self._is("句子", g[0]))
        if g := match("“(.+)”是哪一类词？", question):
            return g[0] in self.classes.get(option, [])
        raise unread(question)

    def true(self, steps: str) -> bool:
        text = ""
        for line in steps.splitlines():
            if g := match("“(.+)”：(.+)", line):
                text, classes = g[0], listed(g[1])
                words = text.split(" ")
                right = len(words) == len(classes) and all(
                    w in self.classes[c] for w, c in zip(words, classes, strict=True)
                )
            elif line in ("整串是句子", "整串不是句子"):
                right = self._is("句子", text) == (line == "整串是句子")
            elif g := match("(.+)：(.+)，有(.+)", line):
                right = self.classes.get(g[0]) == listed(g[1]) and g[2] in listed(g[1])
            elif g := match("(.+)：(.+)", line):
                right = f" {g[1]} " in f" {text} " and self._is(g[0], g[1])
            else:
                return False
            if not right:
                return False
        return True
