"""Rewrites of problems whose effect is known: corruptions, which guards must catch, and harmless ones.

Each maker takes an entry and a generator of random numbers and returns a changed copy, or None where the entry
has nothing of the kind. `measured` runs them all against `guards.compare`; the tests set bounds for the results, and
``make bench PART=guards`` prints them by kind.

The makers find words by the tagger of `rjieba` and by short word lists, not by the patterns of the guards, so that a
blind spot of the guards shows.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

import rjieba

from augen.entries import Entry
from augen.rewriting.guards import compare, fields

Maker = Callable[[Entry, random.Random], Entry | None]
BOUNDS = {"min_length_ratio": 0.5, "max_length_ratio": 2.0}


@dataclass
class Outcome:
    """What the guards said about the rewrites of one kind; `wrong` are the missed or needlessly dropped ones."""

    made: int = 0
    wrong: list[tuple[Entry, Entry, list[str]]] = field(default_factory=list)

    def shown(self) -> list[tuple[str, str, str, str, list[str]]]:
        """Id, name of the field, text before and after, and causes, of each wrong one."""
        return [
            (before.id, name, old, new, causes)
            for before, after, causes in self.wrong
            for (name, old), (_, new) in zip(fields(before), fields(after), strict=False)
            if old != new
        ]


def measured(
    entries: Sequence[Entry], makers: Mapping[str, Maker], count: int, seed: int, *, drop: bool
) -> dict[str, Outcome]:
    """Up to `count` rewrites of each kind, drawn over `entries`; `drop` says what the guards should do with them."""
    outcomes: dict[str, Outcome] = {}
    for name, make in makers.items():
        rng = random.Random(f"{seed} {name}")
        outcome = outcomes[name] = Outcome()
        for before in rng.sample(entries, len(entries)):
            if outcome.made == count:
                break
            after = make(before, rng)
            if after is None or after == before:
                continue
            outcome.made += 1
            causes = compare(before, after, **BOUNDS)
            if bool(causes) != drop:
                outcome.wrong.append((before, after, causes))
    return outcomes


# --- corruptions

# Words that the tagger takes for names of people and places, but are not.
NO_NAMES = frozenset(
    """
    城市 长度 东西 汉堡 城镇 渡河 山羊 华氏温度 吉他 关联 一棵树 太阳 华氏度 四楼 英里 中度 深度 太冷 登山
    直角三角形 海滩 巫师 汉诺塔 陈述 祖先 叶子 平方根 老虎 有向图 祖父母 滑雪 屠夫 西兰花 黑客 亦然 德鲁伊
    安静 孙子 万圣节 牛仔 大家庭 相连接 友谊 青光眼 格斗 索引 努力学习 从右到左 顾客 沙丁鱼 博士生 平方和
    小镇 巫婆 操作符 古老 同花顺 小精灵 过敏 巧克力 和甜甜 安全带 英文歌 后继者 连接成 展平 小提琴 天王星
    海王星 布丁 卫星 英文单词 维生素 钱财 连乘积 单元格 探照灯 向东 老鹰 宜人 比萨 摩托 卢比 惠普
""".split()  # noqa: SIM905
)
RENAMED = ("史蒂夫", "玛格丽特", "布伦达", "奥托")
STEMS = "甲乙丙丁戊己庚辛壬癸"


def names_in(text: str) -> list[str]:
    """Latin words and what the tagger takes for Chinese names, without repetition."""
    latin = set(re.findall(r"(?<![A-Za-z0-9_])[A-Za-z]+(?![A-Za-z0-9_])", text))
    tags = [(word, tag) for word, tag in rjieba.tag(text, False) if len(word) > 1]
    return sorted(latin) + sorted({w for w, tag in tags if tag in ("nr", "nrt", "ns") and w not in NO_NAMES})


def whole(name: str) -> str:
    """A pattern for `name` as a word of its own."""
    return rf"(?<![A-Za-z0-9_]){re.escape(name)}(?![A-Za-z0-9_])"


def swap_names(before: Entry, rng: random.Random) -> Entry | None:
    """Two names of the problem change places, in one line that holds both if there is one."""

    def pairs(text: str) -> list[tuple[str, str]]:
        names = names_in(text)
        latin, chinese = [n for n in names if n.isascii()], [n for n in names if not n.isascii()]
        return [(a, b) for group in (latin, chinese) for a in group for b in group if a < b]

    def swapped(text: str, a: str, b: str) -> str:
        return re.sub(f"{whole(a)}|{whole(b)}", lambda match: b if match.group() == a else a, text)

    lines = before.problem.split("\n")
    choices = [(n, pair) for n, line in enumerate(lines) for pair in pairs(line)]
    after = deepcopy(before)
    if choices:
        n, pair = rng.choice(choices)
        lines[n] = swapped(lines[n], *pair)
        after.problem = "\n".join(lines)
    elif everywhere := pairs(before.problem):
        after.problem = swapped(before.problem, *rng.choice(everywhere))
    return after


def rename_once(before: Entry, rng: random.Random) -> Entry | None:
    """One name becomes another one in one of the places where it stands."""

    def places(text: str) -> list[tuple[int, str]]:
        return [(m.start(), name) for name in names_in(text) for m in re.finditer(whole(name), text)]

    return change_text(before, rng, places, lambda name: rng.choice([r for r in RENAMED if r != name]))


def next_letter(before: Entry, rng: random.Random) -> Entry | None:
    """A single Latin letter or one of 甲乙丙丁 becomes the next one, in one place."""

    def places(text: str) -> list[tuple[int, str]]:
        letters = [(m.start(), m.group()) for m in re.finditer(r"(?<![A-Za-z0-9_])[A-Ya-y](?![A-Za-z0-9_'’])", text)]
        stems = [(at, w) for at, w in words_of(text) if w in STEMS]
        return letters + stems

    def following(letter: str) -> str:
        return STEMS[(STEMS.index(letter) + 1) % 10] if letter in STEMS else chr(ord(letter) + 1)

    return change_text(before, rng, places, following)


def change_number(before: Entry, rng: random.Random) -> Entry | None:
    """One number of the problem or a question, in whatever digits, becomes another."""

    def places(text: str) -> list[tuple[int, str]]:
        found, at = [], 0
        for word, tag in rjieba.tag(text, False):
            if word.isdecimal():
                found.append((at, word))
            elif tag == "m":
                found += [(at + k, sign) for k, sign in enumerate(word) if sign in "二三四五六七八九"]
            at += len(word)
        return found

    def other(number: str) -> str:
        return str(int(number) + 1) if number.isdecimal() else "三四五六七八九二"["二三四五六七八九".index(number)]

    return change_text(before, rng, places, other)


def swap_numbers(before: Entry, rng: random.Random) -> Entry | None:
    """Two different numbers of one line change places."""
    after = deepcopy(before)
    lines = before.problem.split("\n")
    choices = []
    for n, line in enumerate(lines):
        numbers = list(re.finditer(r"\d+", line))
        choices += [(n, a, b) for i, a in enumerate(numbers) for b in numbers[i + 1 :] if int(a[0]) != int(b[0])]
    if not choices:
        return None
    n, a, b = rng.choice(choices)
    line = lines[n]
    lines[n] = line[: a.start()] + b[0] + line[a.end() : b.start()] + a[0] + line[b.end() :]
    after.problem = "\n".join(lines)
    return after


NEGATED = re.compile("[不没无非未]|不是|不能|不会|不同|不可|不再|不要|不到|不存在|不等于?|没有|无法|非空|未知")


def drop_negation(before: Entry, rng: random.Random) -> Entry | None:
    """One word loses its 不, 没, 无, 非 or 未; 没有 loses 没."""

    def places(text: str) -> list[tuple[int, str]]:
        found = [(at, word) for at, word in words_of(text) if NEGATED.fullmatch(word)]
        asks = re.compile(r"(.)不\1")  # 是不是
        return [(at, w) for at, w in found if not asks.match(text, at - 1) and not text.startswith("不等式", at)]

    return change_text(before, rng, places, lambda word: word[1:])


def add_negation(before: Entry, rng: random.Random) -> Entry | None:
    """A 是, 能, 会 or 喜欢 is negated."""

    def places(text: str) -> list[tuple[int, str]]:
        return [(at, w) for at, w in words_of(text) if w in ("是", "能", "会", "喜欢", "可以") and text[at - 1] != "不"]

    return change_text(before, rng, places, lambda word: f"不{word}")


# Words whose exchange turns a statement into another one.
OPPOSITES = """
    大于/小于 多于/少于 高于/低于 早于/晚于 最大/最小 最高/最低 最多/最少 更大/更小 较大/较小 之前/之后 前面/后面
    左边/右边 左侧/右侧 上面/下面 上方/下方 北边/南边 东边/西边 所有/有些 必须/可以 一定/可能 正确/错误 奇数/偶数
    至少/至多 增加/减少 递增/递减 首先/最后 父亲/母亲 男性/女性 且/或 和/或 开始/结束 出发/到达 买/卖 真/假
    输入/输出 加上/减去 乘以/除以
"""
PAIRS = [(a, b) for pair in OPPOSITES.split() for a, b in [tuple(pair.split("/"))]]
OPPOSITE = {a: b for a, b in PAIRS} | {b: a for a, b in reversed(PAIRS)}


def turn_around(before: Entry, rng: random.Random) -> Entry | None:
    """A word becomes its opposite: 大于 → 小于, 所有 → 有些, 和 → 或."""

    def places(text: str) -> list[tuple[int, str]]:
        return [(at, word) for at, word in words_of(text) if word in OPPOSITE]

    return change_text(before, rng, places, lambda word: OPPOSITE[word])


# What stands for what in a wrong rewriting; each is looked for where it is no part of a longer word or sign.
SYMBOLS = dict(pair.split("/") for pair in "</> >/< ≥/> ≤/< +/- ×/+ ≠/= ∧/∨ ∨/∧ →/↔ ∀/∃ ∃/∀ [/( ]/)".split())  # noqa: SIM905
MEASURES = dict(pair.split("/") for pair in "元/角 公斤/斤 公里/里 小时/分钟 分钟/秒 天/年 岁/天 米/厘米".split())  # noqa: SIM905
RELATIVES = dict(
    pair.split("/")
    for pair in "爸爸/舅舅 妈妈/姑姑 父亲/叔叔 母亲/姨妈 哥哥/表哥 弟弟/堂弟 儿子/侄子 女儿/外甥女 舅舅/叔叔".split()  # noqa: SIM905
)
COLOURS = "红黄蓝绿白黑"


def change_symbol(before: Entry, rng: random.Random) -> Entry | None:
    """One operator, logical sign or square bracket becomes another."""

    def places(text: str) -> list[tuple[int, str]]:
        found = [(at, sign) for at, sign in enumerate(text) if sign in SYMBOLS]
        return [
            (at, sign) for at, sign in found if text[at - 1 : at] not in "-<=" and text[at + 1 : at + 2] not in "=>"
        ]

    return change_text(before, rng, places, lambda sign: SYMBOLS[sign])


def change_unit(before: Entry, rng: random.Random) -> Entry | None:
    """One unit of measure behind a number becomes another."""
    pattern = re.compile(rf"(?<=[0-9二三四五六七八九十百]) ?({'|'.join(MEASURES)})")

    def places(text: str) -> list[tuple[int, str]]:
        return [(match.start(1), match[1]) for match in pattern.finditer(text)]

    return change_text(before, rng, places, lambda unit: MEASURES[unit])


def change_relative(before: Entry, rng: random.Random) -> Entry | None:
    """One term of kinship becomes another."""

    def places(text: str) -> list[tuple[int, str]]:
        return [(at, word) for at, word in words_of(text) if word in RELATIVES]

    return change_text(before, rng, places, lambda word: RELATIVES[word])


def exchange_colours(before: Entry, rng: random.Random) -> Entry | None:
    """Two colours of the problem change places, throughout it."""
    found = sorted({word[0] for _, word in words_of(before.problem) if word.rstrip("色") in COLOURS and word != "色"})
    if len(found) < 2:
        return None
    a, b = rng.sample(found, 2)
    after = deepcopy(before)
    after.problem = before.problem.translate(str.maketrans(a + b, b + a))
    return after


def lose_line(before: Entry, rng: random.Random) -> Entry | None:
    """One line of the problem is lost."""
    lines = before.problem.split("\n")
    choices = [n for n, line in enumerate(lines) if len(line.strip()) > 5]
    if len(choices) < 2:
        return None
    after = deepcopy(before)
    lost = rng.choice(choices)
    after.problem = "\n".join(line for n, line in enumerate(lines) if n != lost)
    return after


def cut_off(before: Entry, rng: random.Random) -> Entry | None:
    """The problem ends after two thirds, as a translation at its length limit does."""
    if len(before.problem) < 60:
        return None
    after = deepcopy(before)
    after.problem = before.problem[: 2 * len(before.problem) // 3]
    return after


def merge_options(before: Entry, rng: random.Random) -> Entry | None:
    """Two options become the same."""
    after = deepcopy(before)
    options = rng.choice(after.questions).options
    i, j = rng.sample(range(len(options)), 2)
    options[i] = options[j]
    return after


def shift_options(before: Entry, rng: random.Random) -> Entry | None:
    """The first option becomes the last: every letter means another option."""
    after = deepcopy(before)
    options = rng.choice(after.questions).options
    options.append(options.pop(0))
    return after


def swap_options(before: Entry, rng: random.Random) -> Entry | None:
    """Two options change places."""
    after = deepcopy(before)
    options = rng.choice(after.questions).options
    i, j = rng.sample(range(len(options)), 2)
    options[i], options[j] = options[j], options[i]
    return after


def cross_questions(before: Entry, rng: random.Random) -> Entry | None:
    """Two questions of a problem exchange their options, as texts returned in another order do."""
    after = deepcopy(before)
    pairs = [
        (a, b)
        for i, a in enumerate(after.questions)
        for b in after.questions[i + 1 :]
        if len(a.options) == len(b.options) and set(a.options) != set(b.options)
    ]
    if not pairs:
        return None
    a, b = rng.choice(pairs)
    a.options, b.options = b.options, a.options
    return after


def explain_option(before: Entry, rng: random.Random) -> Entry | None:
    """A short option becomes a sentence: 是 → 是，这就是我的答案。"""
    after = deepcopy(before)
    options = rng.choice(after.questions).options
    k = rng.randrange(len(options))
    if len(options[k]) > 4:
        return None
    options[k] = f"{options[k]}，这就是我的答案。"
    return after


CORRUPTIONS: dict[str, Maker] = {
    "names swapped": swap_names,
    "name changed in one place": rename_once,
    "letter shifted": next_letter,
    "number changed": change_number,
    "numbers swapped": swap_numbers,
    "negation lost": drop_negation,
    "negation added": add_negation,
    "opposite word": turn_around,
    "symbol changed": change_symbol,
    "unit changed": change_unit,
    "kinship changed": change_relative,
    "colours exchanged": exchange_colours,
    "line lost": lose_line,
    "cut off": cut_off,
    "options merged": merge_options,
    "options shifted": shift_options,
    "options swapped": swap_options,
    "options of two questions exchanged": cross_questions,
    "option became a sentence": explain_option,
}


# --- harmless rewrites

REWORDED = dict(
    pair.split("/")
    for pair in """
    根据/依据 以下/下列 以上/上述 选择题/单选题 但是/不过 因为/由于 并且/而且 如果/假如 此外/另外 喜欢/喜爱 例如/比如
    包括/包含 是否/是不是 哪个/哪一个 无法/不能 不同/不一样 可以/能够 信息/资料 规则/规定 多少/几 每个/每一个
    任何/任意 没有/并没有 需要/须要 拥有/有 使用/采用 之间/中间 其他/别的 现在/目前 存在/有 已知/已经知道 所有/全部
    那么/那 什么/啥 会/将会 必须/一定要 等于/就是 计算/算 直接/径直 进行/做
    """.split()  # noqa: SIM905
)


def reword(before: Entry, rng: random.Random) -> Entry | None:
    """Up to four words are replaced throughout the entry, whole words only."""
    texts = [text for _, text in fields(before)]
    present = sorted({word for text in texts for _, word in words_of(text)} & REWORDED.keys())
    chosen = set(rng.sample(present, min(4, len(present))))

    def change(text: str) -> str:
        return "".join(REWORDED[word] if word in chosen else word for _, word in words_of(text))

    return everywhere(before, change)


def change_width(before: Entry, rng: random.Random) -> Entry | None:
    """Half-width punctuation and full-width digits, as some systems write them."""
    table = str.maketrans("，：；？！（）", ",:;?!()") | str.maketrans("0123456789", "０１２３４５６７８９")
    return everywhere(before, lambda text: text.translate(table))


def space_out(before: Entry, rng: random.Random) -> Entry | None:
    """Spaces between Chinese and Latin text appear or go, blank lines and markdown go."""
    if rng.random() < 0.5:
        return everywhere(before, lambda text: re.sub(r"(?<=[一-鿿]) +(?=[A-Za-z0-9])", "", text.replace("\n\n", "\n")))
    return everywhere(before, lambda text: re.sub(r"(?<=[一-鿿])(?=[A-Za-z0-9])", " ", text.replace("**", "")))


def chinese_counts(before: Entry, rng: random.Random) -> Entry | None:
    """三个 becomes 3个, or the reverse."""
    digits = "零一二三四五六七八九"
    if rng.random() < 0.5:
        return everywhere(
            before,
            lambda t: re.sub(
                "(?<![一二三四五六七八九十百两第])([二三四五六七八九])(?=[个位名种条])",
                lambda m: str(digits.index(m[1])),
                t,
            ),
        )
    return everywhere(before, lambda t: re.sub(r"(?<![\d.])([3-9])(?= ?[个位名种条])", lambda m: digits[int(m[1])], t))


def renumber(before: Entry, rng: random.Random) -> Entry | None:
    """``1. `` at the beginning of a line becomes ``1、`` or ``（1）``, ``选择题 1：`` becomes ``第1题：``."""
    mark = rng.choice([r"\1、", r"（\1）", r"(\1) "])
    return everywhere(
        before,
        lambda text: re.sub(r"选择题 ?(\d+) ?[：:]", r"第\1题：", re.sub(r"(?m)^(\d+)\. ", mark, text)),
    )


def answer_fully(before: Entry, rng: random.Random) -> Entry | None:
    """Short answers are spoken otherwise: 是 → 是的, 否 → 不是, 可以 → 可以的, with or without a full stop."""
    spoken = {
        "是": "是的",
        "否": "不是",
        "可以": "可以的",
        "不可以": "不可以的",
        "正确": "正确。",
        "错误": "错误。",
        "无法确定": "不能确定",
    }
    after = deepcopy(before)
    for item in after.questions:
        item.options = [spoken.get(option.strip(), option) for option in item.options]
    return after


def full_stops(before: Entry, rng: random.Random) -> Entry | None:
    """Options end with a full stop, or lose it."""
    after = deepcopy(before)
    for item in after.questions:
        item.options = [o.rstrip("。. ") if o.strip().endswith(("。", ".")) else f"{o}。" for o in item.options]
    return after


def ask_politely(before: Entry, rng: random.Random) -> Entry | None:
    """The question is introduced: 请问, or 请选出正确的一项 after it."""
    after = deepcopy(before)
    for item in after.questions:
        head, colon, tail = item.question.partition("：")
        item.question = f"{head}{colon}\n请问，{tail.strip()}" if colon else f"请问，{item.question}"
    return after


def particles(before: Entry, rng: random.Random) -> Entry | None:
    """了, 着 and 的 that a sentence can do without go: 是快乐的 → 是快乐."""
    return everywhere(before, lambda text: re.sub("(?<=[一-鿿])(?:了(?![解])|的(?=[，。？]))", "", text))


def instruct_otherwise(before: Entry, rng: random.Random) -> Entry | None:
    """Another sentence leads over to the questions."""
    other = rng.choice(["请依据上文解答下面各题：", "请看下列单选题，并从中作答。", "那么，请回答："])
    after = deepcopy(before)
    after.problem = re.sub(r"[^\n，。]*(?:根据|基于|按照)[^\n]*回答[^\n]*[：。:]\s*$", other, before.problem)
    return after


def join_sentences(before: Entry, rng: random.Random) -> Entry | None:
    """Sentences on one line are joined: 。 between them becomes ； or ，."""
    mark = rng.choice("；，")
    return everywhere(before, lambda text: re.sub(r"。(?=[^\s。])", mark, text))


def number_forms(before: Entry, rng: random.Random) -> Entry | None:
    """30000 becomes 3万, 1000 becomes 1,000, 50% becomes 百分之50, 公里 becomes km, 元 becomes 块."""

    def change(text: str) -> str:
        text = re.sub(r"(?<![\d.,])(\d{1,3})0000(?![\d.])", r"\1万", text)
        text = re.sub(r"(?<![\d.,A-Za-z])(\d{1,3})(\d{3})(?![\d.A-Za-z年])", r"\1,\2", text)
        text = re.sub(r"(?<![\d.])(\d+)%", r"百分之\1", text)
        return re.sub(r"(?<=\d) ?(公里|千克|元)", lambda m: {"公里": "km", "千克": "kg", "元": "块"}[m[1]], text)

    return everywhere(before, change)


def two_at_once(before: Entry, rng: random.Random) -> Entry | None:
    """Two of the others, one after the other."""
    first, second = rng.sample([reword, change_width, space_out, renumber, full_stops, particles], 2)
    return second(first(before, rng) or before, rng)


HARMLESS: dict[str, Maker] = {
    "other words": reword,
    "other width of signs": change_width,
    "other spaces": space_out,
    "other numerals": chinese_counts,
    "other forms of numbers": number_forms,
    "other numbering": renumber,
    "answers spoken otherwise": answer_fully,
    "full stops": full_stops,
    "asked politely": ask_politely,
    "particles dropped": particles,
    "instructed otherwise": instruct_otherwise,
    "sentences joined": join_sentences,
    "two of these": two_at_once,
}


# --- shared


def words_of(text: str) -> list[tuple[int, str]]:
    """The words of `text`, each with where it begins."""
    found, at = [], 0
    for word in rjieba.cut(text, False):
        found.append((at, word))
        at += len(word)
    return found


def change_text(
    before: Entry,
    rng: random.Random,
    places: Callable[[str], list[tuple[int, str]]],
    other: Callable[[str], str],
) -> Entry | None:
    """Replace the text at one of the `places`, in the problem or a question, by what `other` returns for it."""
    after = deepcopy(before)
    holders = [(after, "problem"), *((item, "question") for item in after.questions)]
    choices = [(*holder, *place) for holder in holders for place in places(getattr(*holder))]
    if not choices:
        return None
    owner, name, at, old = rng.choice(choices)
    text = getattr(owner, name)
    setattr(owner, name, text[:at] + other(old) + text[at + len(old) :])
    return after


def everywhere(before: Entry, change: Callable[[str], str]) -> Entry:
    """Every text of the problem, its questions and options changed."""
    after = deepcopy(before)
    after.problem = change(after.problem)
    for item in after.questions:
        item.question = change(item.question)
        item.options = [change(option) for option in item.options]
    return after
