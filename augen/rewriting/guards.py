"""Did a rewriting keep the puzzle? Pure comparisons of an entry before and after, field by field.

What machine translation there and back does to puzzles, and which guard sees it::

    Kev 爱 Ann → 史蒂夫爱 Ann                      names_changed
    甲比乙高 → 乙比甲高                            names_reordered
    三个、列表 [1, 2] → 两个、列表 [2, 1]          number_changed, numbers_reordered
    不会滑雪 → 会滑雪                              negation_changed
    青色 / 蓝色 / 绿色 → 蓝色 / 蓝色 / 绿色        options_collapsed
    是 → 是的，长官。                              length_ratio

A guard that fires wrongly costs one copy; one that stays silent puts a wrong answer into the training
data. So the guards are strict where the two are hard to tell apart (order of names, for instance).
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from augen.entries import Entry, QuestionItem

# How much better another order of the options must fit, in bigram similarity summed over the options.
REORDER_MARGIN = 0.25


def _any(words: Sequence[str]) -> str:
    """A pattern for any of `words`, the longest first."""
    return "|".join(sorted(map(re.escape, words), key=lambda word: (-len(word), word)))


def _listed(words: str) -> str:
    """A pattern for any of the words in a list separated by white space."""
    return _any(words.split())


# Names that puzzles are full of and that carry no outward mark in Chinese text. Others are seen by the
# characters that spell foreign names, or where they stand among the options (`mentions`).
_NAMES = _listed("""
    约翰逊 约翰 玛丽亚 玛丽 玛莉 汤姆 杰瑞 杰克逊 杰克 杰森 爱丽丝 艾丽丝 鲍勃 迈克尔 迈克 麦克 彼得 大卫
    丹尼尔 史蒂夫 乔治 亨利 查理 詹姆斯 吉姆 威廉 罗伯特 理查德 托马斯 保罗 马克 卢克 卢卡斯 露西 莉莉 丽莎
    安娜 安妮 艾玛 艾米 艾伦 凯特 凯文 凯莉 苏珊 苏菲 索菲亚 海伦 珍妮 简妮 南希 琳达 露丝 莎拉 萨拉 朱莉
    朱迪 朱丽叶 罗密欧 劳拉 伊娃 夏洛特 维多利亚 伊丽莎白 凯瑟琳 玛格丽特 弗雷德 弗兰克 菲利普 乔伊 乔恩
    山姆 萨姆 本杰明 安迪 安德鲁 亚当 亚历克斯 爱德华 埃里克 布鲁斯 布莱恩 克里斯 戴夫 迪克 唐纳德 格雷格
    哈利 罗恩 赫敏 海格 杰夫 杰里 凯西 肯特 拉里 路易斯 马丁 马修 尼克 奥利弗 帕特 雷蒙 罗杰 西蒙 泰勒 蒂姆
    托尼 沃尔特 苏格拉底 柏拉图 亚里士多德 比尔 贝蒂 黛西 戴安娜 格蕾丝 凯伦 梅丽莎 米歇尔 莫妮卡 瑞秋
    丽贝卡 桑德拉 温迪 阿里 阿明 张三 李四 王五 赵六 孙七 周八 吴九 郑十 柏林 慕尼黑 科隆 巴黎 伦敦 纽约
    东京 罗马 根特 列日 戴高乐 肯尼迪 康斯坦察 北京 上海 天津 重庆 广州 深圳 南京 杭州 成都 武汉 西安 香港
    台北 大阪 首尔 曼谷 新加坡 迈阿密 斯图加特 尼古拉 布鲁日 安特卫普 洛杉矶 多伦多 悉尼 米兰 维也纳 里斯本
    莫斯科 华盛顿 加利福尼亚 美国 中国 英国 法国 德国 韩国 泰国 日本 俄罗斯 意大利 西班牙 葡萄牙 荷兰 比利时
    瑞士 瑞典 挪威 丹麦 芬兰 波兰 希腊 埃及 印度 加拿大 墨西哥 巴西 阿根廷 澳大利亚 新西兰 苏格兰 威尔士
    爱尔兰 英格兰 以色列 罗马尼亚 捷克
""")
# Two of these in a row hardly ever stand in a Chinese word: 萨尔布吕肯, 汉密尔顿.
_FOREIGN = (
    "[阿埃艾伯布瑞奥巴贝蒂迪德顿厄恩尔菲弗福格哈赫霍吉杰卡凯柯科克肯库拉莱兰劳"
    "勒雷莉丽琳卢鲁伦罗洛吕玛迈曼梅蒙莫姆慕穆纳娜妮尼涅诺努欧帕佩皮珀"
    "普奇乔萨塞莎什施史斯苏索塔泰坦特廷托瓦威韦维沃乌雅亚耶伊泽詹朱兹茨]"
)
# Words that hold one of the signs looked for here without meaning it.
_NO_STEM = _listed("""
    自己 知己 己方 甲板 指甲 装甲 盔甲 甲虫 甲壳 布丁 园丁 拉丁 壮丁 补丁 辛苦 辛辣 艰辛 乙醇 乙烯 甲烷 甲醇
""")
_NO_NUMBER = _listed("十分之 三明治 千层面 万一 万圣节 万能 百合 百货 百科 千方百计 五金 八卦 四川 百事")
_NO_NEGATION = _listed("""
    是否 能否 可否 有无 与否 无论 不论 不管 不仅 不但 不只 不光 不过 不断 不久 不少 不禁 不得不 非常 别人 别的
    特别 分别 区别 级别 性别 类别 辨别 识别 鉴别 个别 告别 差别 派别 别墅 别名 别针 别称 别克 未来 非洲 南非
    无线 无锡 无花果 没收 淹没 沉没 出没 莫非 不等式 不丹
""")

_SIGN = re.compile(
    r"(?P<latin>[A-Za-z_À-ɏΑ-ω][A-Za-z0-9_À-ɏΑ-ω]*)"
    rf"|(?P<idiom>{_NO_STEM}|{_NO_NUMBER}|十分(?!钟)|千万(?=[别不要]))"
    rf"|(?P<name>{_NAMES}|{_FOREIGN}{{2,}}|小[明红华刚丽强芳兰军伟玲李王张赵刘陈]|老[李王张赵刘陈]|[甲乙丙丁戊己庚辛壬癸])"
    r"|(?P<arabic>(?:(?<![\w)\]])-)?\d+(?:\.\d+)?)"
    r"|(?P<chinese>[零〇一二两三四五六七八九十百千万亿]+)"
)
# 一 is mostly an article or part of a word (一个, 一些, 一起), which rewriting may drop or add. It is a
# number after these signs or before those; a change to any other number shows all the same.
_ORDINAL = re.compile(r"(?:第|星期|周|礼拜|[^一]分之)$")
_UNIT = re.compile(r"[月号日岁年倍元万]")

_NEGATION = re.compile("[不没无非未否别]|相异|各异")
_NEUTRAL = re.compile(rf"{_NO_NEGATION}|([一-鿿])[不没]\1")  # 是不是, 能不能, 有没有 only ask

_DIGIT = {sign: value for value, sign in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_TEN = {"十": 10, "百": 100, "千": 1000}

# Options that are an answer and no thing: how often the problem holds 可以 says nothing.
_ANSWER = re.compile(
    r"\W*(?:不?(?:是|能|会|可以|可能|正确|存在|一定|确定|相同|知道)的?|错误|无法确定|没有|以上都.*)\W*"
)

_LANGUAGE = "(?:英|法|德|日|韩|俄|拉丁|西班牙|意大利|葡萄牙|阿拉伯|希腊|荷兰|中|汉|外)[文语]"
_TRANSLATION = re.compile(
    "翻译|译成|译为|译作|词汇表|单词表"
    rf"|{_LANGUAGE}(?:单词|词汇|句子|短语)|{_LANGUAGE}(?:到|转|变)(?:成|为)?{_LANGUAGE}"
)


def is_about_translation(entry: Entry) -> bool:
    """Whether the puzzle is about words of two languages: rewriting would change its very subject."""
    return any(_TRANSLATION.search(text) for _, text in fields(entry))


def compare(before: Entry, after: Entry, *, min_length_ratio: float, max_length_ratio: float) -> list[str]:
    """Causes for which `after` is no faithful rewriting of `before`, in a fixed order; empty: it passes.

    ``question_count``, ``option_count``     something was lost or added (then nothing else is compared)
    ``answer_changed``                       the answer letter, or whether there is a reasoning
    ``empty_field``                          a text became blank
    ``options_collapsed``, ``options_split`` options that differed became equal, or the reverse
    ``options_reordered``                    another order of the new options fits the old ones better
    ``names_changed``, ``names_reordered``   Latin words, given names, 甲乙丙丁 of a field
    ``number_changed``, ``numbers_reordered`` numbers of a field; 三, ３ and 3 are the same number
    ``negation_changed``                     how many negations a field has
    ``mentions_changed``                     where problem and questions name the options
    ``length_ratio``                         characters after ÷ before outside the bounds (both inclusive),
                                             for the entry or for one field
    """
    if len(before.questions) != len(after.questions):
        return ["question_count"]
    pairs = list(zip(before.questions, after.questions, strict=True))
    if any(len(old.options) != len(new.options) for old, new in pairs):
        return ["option_count"]
    if any(old.answer != new.answer or _has_reasoning(old) != _has_reasoning(new) for old, new in pairs):
        return ["answer_changed"]

    causes: set[str] = set()
    for old, new in pairs:
        causes |= _compare_options(old.options, new.options)
    places = things(before).keys() & things(after).keys()
    if mentions(before, places) != mentions(after, places):
        causes.add("mentions_changed")
    lengths: list[tuple[int, int]] = []
    for (_, old_text), (_, new_text) in zip(fields(before), fields(after), strict=True):
        causes |= _compare_texts(old_text, new_text)
        lengths.append((length(old_text), length(new_text)))
    lengths.append((sum(old for old, _ in lengths), sum(new for _, new in lengths)))
    if not all(min_length_ratio * old <= new <= max_length_ratio * old for old, new in lengths):
        causes.add("length_ratio")
    return [cause for cause in _ORDER if cause in causes]


_ORDER = (
    "empty_field",
    "options_collapsed",
    "options_split",
    "options_reordered",
    "names_changed",
    "names_reordered",
    "number_changed",
    "numbers_reordered",
    "negation_changed",
    "mentions_changed",
    "length_ratio",
)


def fields(entry: Entry) -> Iterator[tuple[str, str]]:
    """Every text of `entry` with its name: ``problem``, ``question 1``, ``option 1.1`` …"""
    yield "problem", entry.problem
    for n, item in enumerate(entry.questions, start=1):
        yield f"question {n}", item.question
        for k, option in enumerate(item.options):
            yield f"option {n}.{k + 1}", option
        if item.reasoning is not None:
            yield f"reasoning {n}", item.reasoning


def _has_reasoning(item: QuestionItem) -> bool:
    return item.reasoning is not None


def _compare_texts(before: str, after: str) -> set[str]:
    causes: set[str] = set()
    if before.strip() and not after.strip():
        causes.add("empty_field")
    (old_names, old_numbers), (new_names, new_numbers) = signs(before), signs(after)
    if old_names != new_names:
        causes.add("names_changed" if Counter(old_names) != Counter(new_names) else "names_reordered")
    if old_numbers != new_numbers:
        same = Counter(old_numbers) == Counter(new_numbers)
        causes.add("numbers_reordered" if same else "number_changed")
    if negations(before) != negations(after):
        causes.add("negation_changed")
    return causes


def _compare_options(before: Sequence[str], after: Sequence[str]) -> set[str]:
    causes: set[str] = set()
    old, new = [plain(option) for option in before], [plain(option) for option in after]
    pairs = [(i, j) for i in range(len(old)) for j in range(i)]
    if any(old[i] != old[j] and new[i] == new[j] for i, j in pairs):
        causes.add("options_collapsed")
    if any(old[i] == old[j] and new[i] != new[j] for i, j in pairs):
        causes.add("options_split")
    if reordered(old, new):
        causes.add("options_reordered")
    return causes


def plain(text: str) -> str:
    """`text` as it is compared: compatibility forms folded, no white space, no closing full stop."""
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text)).rstrip("。.")


def length(text: str) -> int:
    """Characters of `text` without white space."""
    return len("".join(text.split()))


def signs(text: str) -> tuple[list[str], list[str]]:
    """The names and the numbers of `text`, each in order of appearance.

    >>> signs("小明有三个苹果，Tom 有２个，甲排第一，一起吃了 -0.5 个")
    (['小明', 'Tom', '甲'], ['3', '2', '1', '-0.5'])

    Names are Latin words (case kept; b1 and lg are words), frequent given names and the stems 甲乙丙丁….
    """
    text = unicodedata.normalize("NFKC", text).replace("−", "-")
    names: list[str] = []
    numbers: list[str] = []
    for match in _SIGN.finditer(text):
        found = match.group()
        match match.lastgroup:
            case "latin":
                names.append(found)
            case "name":
                names.append(found)
            case "arabic":
                numbers.append(found)
            case "chinese" if found != "一" or _counts_one(text, match.start()):
                numbers.append(str(chinese_number(found)))
    return names, numbers


def _counts_one(text: str, at: int) -> bool:
    return bool(_ORDINAL.search(text[max(0, at - 3) : at]) or _UNIT.match(text, at + 1))


def chinese_number(numeral: str) -> int:
    """``二十三`` → 23, ``一百零五`` → 105, ``三万`` → 30000; digits in a row stay so: ``二〇二六`` → 2026."""
    if all(sign in _DIGIT for sign in numeral):
        return int("".join(str(_DIGIT[sign]) for sign in numeral))
    total = section = digit = 0
    for sign in numeral:
        if sign in _DIGIT:
            digit = _DIGIT[sign]
        elif sign in _TEN:
            section += (digit or 1) * _TEN[sign]
            digit = 0
        else:  # 万 and 亿 multiply all that stands before them
            scale = 10**4 if sign == "万" else 10**8
            total = (total + section + digit or 1) * scale
            section = digit = 0
    return total + section + digit


def negations(text: str) -> int:
    """How many negations `text` has: 不, 没, 无, 非, 未, 否, 别; 没有 is one, so are 不同 and 相异.

    Not counted: questions (是否, 是不是) and words that only hold such a sign (无论, 非常, 特别).
    """
    return len(_NEGATION.findall(_NEUTRAL.sub(" ", text)))


Place = tuple[int, int]  # question and option, counted from 0


def things(entry: Entry) -> dict[Place, str]:
    """The options that are the text of some thing: neither a single character nor an answer as 不存在."""
    return {
        (n, k): option.strip()
        for n, item in enumerate(entry.questions)
        for k, option in enumerate(item.options)
        if len(option.strip()) > 1 and not _ANSWER.fullmatch(option)
    }


def mentions(entry: Entry, places: Iterable[Place]) -> list[list[Place]]:
    """Which of the options at `places` the problem, and then each question, names, in order.

    Shows a name that was swapped, or renamed in one place only, in whatever script it is written. Equal
    options are told by the first of them.
    """
    first: dict[str, Place] = {}
    for n, k in sorted(places):
        first.setdefault(entry.questions[n].options[k].strip(), (n, k))
    pattern = re.compile(_any(list(first)) or "(?!)")  # (?!) matches nothing
    texts = [entry.problem, *(item.question for item in entry.questions)]
    return [[first[found] for found in pattern.findall(text)] for text in texts]


def reordered(before: Sequence[str], after: Sequence[str]) -> bool:
    """Whether the options `after` match those `before` clearly better in another order.

    Compares the best assignment of new options to old ones with the given one, by similarity of their
    character bigrams (Dice).
    """
    import numpy as np
    from scipy.optimize import linear_sum_assignment  # half a second, which only those pay who compare

    grid = np.array([[similarity(old, new) for new in after] for old in before])
    if not grid.size:
        return False
    rows, columns = linear_sum_assignment(grid, maximize=True)
    return bool(grid[rows, columns].sum() > np.trace(grid) + REORDER_MARGIN)


def similarity(a: str, b: str) -> float:
    """Dice coefficient of the character bigrams of two texts, their ends marked: 1 for equal, 0 for unlike.

    >>> similarity("是", "是的")  # {^是, 是$} and {^是, 是的, 的$} share one of five
    0.4
    """
    first, second = _bigrams(a), _bigrams(b)
    return 2 * (first & second).total() / (first.total() + second.total())


def _bigrams(text: str) -> Counter[str]:
    marked = f"^{text}$"
    return Counter(marked[i : i + 2] for i in range(len(marked) - 1))
