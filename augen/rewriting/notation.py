"""What a text writes in signs and figures: symbols, units and the several forms of one number. Pure.

>>> symbols("(P ∧ Q) → R，且 a >= b")
['(', '∧', ')', '→', '≥']
>>> units("西瓜重6公斤，每km收5元")
['kg', 'km', '元']
>>> plain_numbers("一共3万人，占三分之一，即 1,000 的百分之五十")
'一共30000人,占1/3,即 1000 的50%'
"""

import re
import unicodedata
from collections.abc import Iterator

# --- symbols

# Several ways to write one symbol.
_ALIKE = {
    "≤": "<= =< ≦ ⩽",
    "≥": ">= ≧ ⩾",
    "≠": "!= <> =/= ≠",
    "=": "== = ≡",
    "↔": "<-> <=> ↔ ⇔ ⟷ ⟺",
    "→": "--> -> => → ⇒ ⟶ ⟹ ⊃",
    "∧": "∧ && ⋀",
    "∨": "∨ || ⋁",
    "¬": "¬ ￢",
    "×": "× ✕ ⋅",
    "/": "/ ÷ ⁄ ∕",
    "∅": "∅ Ø",
}
_SAME = {written: symbol for symbol, forms in _ALIKE.items() for written in (symbol, *forms.split())}
_ALONE = "<>+^%√∀∃⊕⊻∈∉⊂⊆⊇∪∩∖⊢⊨≈&[]{}"
_SYMBOL = re.compile(
    "|".join(
        [
            *(re.escape(written) for written in sorted(_SAME, key=len, reverse=True)),
            f"[{re.escape(_ALONE)}]",
            r"(?<=[A-Za-z0-9)\]}])[ ]?[-*][ ]?(?=[A-Za-z0-9(\[{])",  # no list mark, emphasis or minus of a number
            r"(?<![^\s(=∧∨→&|,.;:。、])[~!](?=[A-Za-z(])",
        ]
    )
)
_OPERATION = re.compile(rf"[{re.escape(''.join(_SAME) + _ALONE)}~*,-]")
_ROUND = re.compile("[()]")
_FORMULA = 80  # characters in a pair of brackets that may be one
_CHINESE = re.compile("[㐀-鿿]")
_QUOTED = re.compile(r"(?m)^[ ]*[>+-]+[ ]|\*\*")  # markdown

# Words for symbols, the longer ones first.
_SPELLED = (
    ("大于(?:或)?等于|不小于", "≥"),
    ("小于(?:或)?等于|不大于", "≤"),
    ("不等于", "≠"),
    ("大于", ">"),
    ("小于", "<"),
    ("等于", "="),
    ("加上?", "+"),
    (r"减去?|(?<=\d)[到至~](?=\d)", "-"),
    ("乘以?", "×"),
    ("百分之|(?<=[0-9一二三四五六七八九])成(?![为功立员长果对])", "%"),
    ("分之|除以|每(?=小时|分钟|秒)", "/"),
    ("对于?(?:所有|任意)的?", "∀"),
    ("存在", "∃"),
    ("并且|而且|且", "∧"),
    ("或者?", "∨"),
    ("非", "¬"),
    ("蕴[含涵]|推出", "→"),
)
_SPELLED_OUT = [(re.compile(words), symbol) for words, symbol in _SPELLED]


def symbols(text: str) -> list[str]:
    """The symbols of `text` in order, each in one form: ``<=`` is ``≤``. Brackets count in formulas only."""
    text = _QUOTED.sub(" ", unicodedata.normalize("NFKC", text).replace("−", "-"))
    found = [(m.start(), _one_form(m.group().strip())) for m in _SYMBOL.finditer(text)]
    for start, end in _formulas(text):
        found += [(start, "("), (end, ")")]
    return [symbol for _, symbol in sorted(found)]


def _formulas(text: str) -> Iterator[tuple[int, int]]:
    """Pairs of round brackets, by place, around a formula: an operation, a list, or an argument as in f(n).

    Others, such as (1) at the beginning of a line, stand in prose.
    """
    opened: list[int] = []
    for match in _ROUND.finditer(text):
        if match.group() == "(":
            opened.append(match.start())
        elif opened:
            start, end = opened.pop(), match.start()
            inner = text[start + 1 : end] if end - start <= _FORMULA else "…长"
            argument = text[start - 1 : start].isascii() and text[start - 1 : start].isalnum()
            if not _CHINESE.search(inner) and (argument or _OPERATION.search(inner)):
                yield start, end


def _one_form(written: str) -> str:
    return _SAME.get(written, {"*": "×", "~": "¬", "!": "¬"}.get(written, written))


def symbols_changed(before: str, after: str) -> bool:
    """Whether the two texts have other symbols, also if those that are spelled out in words (大于) count.

    >>> symbols_changed("a > b", "a 大于 b"), symbols_changed("a > b", "a < b")
    (False, True)
    """
    return symbols(before) != symbols(after) and symbols(_spelled(before)) != symbols(_spelled(after))


def _spelled(text: str) -> str:
    for words, symbol in _SPELLED_OUT:
        text = words.sub(f" {symbol} ", text)
    return text.replace(" - ", "0-0")  # a minus stands between two things


# --- units

_UNITS = {
    unit: written.split()
    for unit, written in {
        "km/h": "公里/小时 千米/小时 公里每小时 千米每小时 km/h",
        "m/s": "米/秒 米每秒 m/s",
        "km": "公里 千米 km",
        "m": "米 公尺 m",
        "dm": "分米 dm",
        "cm": "厘米 公分 cm",
        "mm": "毫米 mm",
        "里": "里 华里",
        "mile": "英里 mile miles",
        "foot": "英尺 ft",
        "inch": "英寸 inch",
        "尺": "尺",
        "寸": "寸",
        "丈": "丈",
        "m2": "平方米 平米 m2",
        "km2": "平方公里 平方千米 km2",
        "公顷": "公顷",
        "亩": "亩",
        "m3": "立方米 m3",
        "t": "吨 t",
        "kg": "公斤 千克 kg",
        "斤": "斤 市斤",
        "两": "两",
        "g": "克 g",
        "mg": "毫克 mg",
        "lb": "磅 lb",
        "L": "升 公升 L l",
        "mL": "毫升 mL ml",
        "元": "元 块 块钱 圆 人民币",
        "角": "角 毛 毛钱",
        "分": "分 分钱",
        "美元": "美元 美金",
        "日元": "日元",
        "欧元": "欧元",
        "h": "小时 钟头 h",
        "刻": "刻 刻钟",
        "min": "分钟 min",
        "s": "秒 秒钟 s",
        "点": "点 点钟 时",
        "天": "天 日",
        "周": "周 星期 礼拜",
        "个月": "个月",
        "月": "月",
        "季": "季 季度",
        "年": "年",
        "世纪": "世纪",
        "岁": "岁 周岁",
        "°C": "°C 摄氏度",
        "°F": "°F 华氏度",
        "度": "度 °",
        "倍": "倍",
        "打": "打",
        "双": "双 对",
        "成": "成",
        "折": "折",
    }.items()
}
_UNIT_OF = {written: unit for unit, forms in _UNITS.items() for written in forms}
_LATIN_UNITS = sorted((w for w in _UNIT_OF if not _CHINESE.search(w)), key=len, reverse=True)
_CHINESE_UNITS = sorted((w for w in _UNIT_OF if _CHINESE.search(w)), key=len, reverse=True)
_LATIN_UNIT = rf"(?:{'|'.join(map(re.escape, _LATIN_UNITS))})(?![A-Za-z0-9_])"
_NO_UNIT = (  # 两对应, 三分之一
    "分之|分[别母子析布类开组数配]|点[钱头心]|对[应手面方比]|双方|日[本期]"
    "|成[为功立]|里面|天[气空]|年[级轻龄长]|打[开算工]"
)
_UNIT = re.compile(
    rf"(?:[\d零〇一二两三四五六七八九十百千万亿几半多每]|多少)[ ]?(?:个(?!月))?(?:半|多)?"
    rf"(?!{_NO_UNIT})(?P<unit>{_LATIN_UNIT}|{'|'.join(map(re.escape, _CHINESE_UNITS))})"
)
_AFTER_NUMBER = re.compile(rf"(?<=[\d每])[ ]?{_LATIN_UNIT}")
_CURRENCY = re.compile(r"(?P<sign>[¥$€])[ ]?(?P<number>\d[\d,.]*)")


def units(text: str) -> list[str]:
    """The units of measure behind the numbers of `text`, and behind 每, in order, each in one form: 公里 is ``km``."""
    text = unicodedata.normalize("NFKC", text)
    text = _CURRENCY.sub(lambda match: match["number"] + {"¥": "元", "$": "美元", "€": "欧元"}[match["sign"]], text)
    return [_UNIT_OF[match["unit"]] for match in _UNIT.finditer(text)]


def without_latin_units(text: str) -> str:
    """`text` without the Latin units behind its numbers, which are no names."""
    return _AFTER_NUMBER.sub(" ", text)


# --- forms of one number

_DIGIT = {sign: value for value, sign in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_TEN = {"十": 10, "百": 100, "千": 1000}
NUMERAL = "(?:[零〇一二两三四五六七八九十百万亿]|千(?![克米瓦卡帕])){1,30}"
_NUMBER = rf"(?:\d{{1,30}}(?:\.\d{{1,30}})?|{NUMERAL})"
_GROUPED = re.compile(
    r"(?<![\d.])(?<!\d,)\d{1,3}(?:,\d{3})+(?!\d|,\d) | (?<![\d.][ ])(?<![\d.])\d{1,3}(?:[ ]\d{3})+(?![ ]?\d)",
    re.VERBOSE,
)
_ZEROS = re.compile(r"(?<=\d)(?P<digits>\.\d{0,20}?)0{1,20}(?!\d)")
_TENTHS = re.compile(r"(?P<tenths>[\d一二三四五六七八九])成(?![为功立员长果对])")
_PART = re.compile(rf"(?P<whole>{_NUMBER})分之(?P<part>{_NUMBER})")
_LARGE = re.compile(r"(?<![\d.])(?P<digits>\d{1,12}(?:\.\d{1,9})?)[ ]?(?P<scale>[万亿千百]{1,2}(?![克米瓦卡帕年]))")
_POINT = re.compile(
    r"(?P<whole>[零一二两三四五六七八九十]{1,3})点(?P<rest>[零一二三四五六七八九]{1,6})(?![十分刻钟点])"
)
_ONE = re.compile("(?<![一二三四五六七八九十第])一(?=[个只条名位本张件块次天头辆座间杯瓶双对组种人倍份])")


def plain_numbers(text: str) -> str:
    """`text` with its numbers in one form: 三分之一 as 1/3, 百分之五十 as 50%, 3万 and 1,000 without sign and comma.

    Half-width, too. A list such as [100,200] may look like one number: compare it as it stands first.
    """
    text = unicodedata.normalize("NFKC", text)
    text = _GROUPED.sub(lambda match: re.sub("[ ,]", "", match.group()), text)
    text = _TENTHS.sub(lambda match: f"{_value(match['tenths'])}0%", text).replace("一半", "1/2")
    text = _PART.sub(_as_part, text)
    text = _POINT.sub(lambda m: f"{chinese_number(m['whole'])}.{''.join(str(_DIGIT[d]) for d in m['rest'])}", text)
    text = _ZEROS.sub(lambda match: match["digits"].rstrip("."), text)
    return _ONE.sub("1", _LARGE.sub(_in_digits, text))


def _as_part(match: re.Match[str]) -> str:
    part, whole = (_value(match[name]) for name in ("part", "whole"))
    return f"{part}%" if match["whole"] == "百" else f"{part}/{whole}"


def _in_digits(match: re.Match[str]) -> str:
    value = float(match["digits"]) * chinese_number("一" + match["scale"])
    return str(round(value)) if value == round(value) else match.group()


def _value(number: str) -> str:
    return number if number[0].isdigit() and number.isascii() else str(chinese_number(number))


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
