"""What a puzzle turns on, as it stands in a text: names, numbers, negations, and which end of a scale is meant. Pure.

>>> signs("小明有三个苹果，Tom 有２个")
(['小明', 'Tom'], ['3', '2'])
>>> negations("不是没有，是不是？")
2
>>> turned("甲比乙高", "甲比乙矮"), turned("甲比乙高", "甲高于乙")
(True, False)
"""

import re
import unicodedata
from collections.abc import Sequence

from augen.rewriting.notation import NUMERAL, chinese_number, without_latin_units


def any_of(words: Sequence[str]) -> str:
    """A pattern for any of `words`, the longest first."""
    return "|".join(sorted(map(re.escape, words), key=lambda word: (-len(word), word)))


def listed(words: str) -> str:
    """A pattern for any of the words in a list separated by white space."""
    return any_of(words.split())


# Names that puzzles are full of and that carry no outward mark in Chinese text. Others are seen by the
# characters that spell foreign names, or where they stand among the options (`mentions`).
_NAMES = listed("""
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
_NO_STEM = listed("""
    自己 知己 己方 甲板 指甲 装甲 盔甲 甲虫 甲壳 布丁 园丁 拉丁 壮丁 补丁 辛苦 辛辣 艰辛 乙醇 乙烯 甲烷 甲醇
""")
_NO_NUMBER = listed("十分之 三明治 千层面 万一 万圣节 万能 百合 百货 百科 千方百计 五金 八卦 四川 百事")
_NO_NEGATION = listed("""
    是否 能否 可否 有无 与否 无论 不论 不管 不仅 不但 不只 不光 不过 不断 不久 不少 不禁 不得不 非常 别人 别的
    特别 分别 区别 级别 性别 类别 辨别 识别 鉴别 个别 告别 差别 派别 别墅 别名 别针 别称 别克 未来 非洲 南非
    无线 无锡 无花果 没收 淹没 沉没 出没 莫非 不等式 不丹
""")

_SIGN = re.compile(
    r"(?P<latin>[A-Za-z_À-ɏΑ-ω][A-Za-z0-9_À-ɏΑ-ω]*)"
    rf"|(?P<idiom>{_NO_STEM}|{_NO_NUMBER}|十分(?!钟)|千万(?=[别不要]))"
    rf"|(?P<name>{_NAMES}|{_FOREIGN}{{2,}}|小[明红华刚丽强芳兰军伟玲李王张赵刘陈]|老[李王张赵刘陈]|[甲乙丙丁戊己庚辛壬癸])"
    r"|(?P<arabic>(?:(?<![\w)\]])-)?\d+(?:\.\d+)?)"
    rf"|(?P<chinese>{NUMERAL})"
)
# 一 is mostly an article or part of a word (一个, 一些, 一起), which rewriting may drop or add. It is a
# number after these signs or before those; a change to any other number shows all the same.
_ORDINAL = re.compile(r"(?:第|星期|周|礼拜|[^一]分之)$")
_UNIT = re.compile(r"[月号日岁年倍元万]")

_NEGATION = re.compile("[不没无非未否别≠¬∉]|!=|相异|各异")
_NEUTRAL = re.compile(rf"{_NO_NEGATION}|([一-鿿])[不没]\1")  # 是不是, 能不能, 有没有 only ask

_CHANGED = "(?:增加|增长|提高|上升|上涨|扩大|减少|降低|下降|下跌|缩小|缩短|延长|涨|跌)"

# Who has it in the end: the one before these words, or the one behind them.
_TAKING = "借租买收领接拿取得要换抢"
_GIVES = "给|赠|归还|[借租付送寄交]出|出[借租]|支付"
_TAKES = (
    f"[{_TAKING}]到|[{_TAKING}][来入进回走]|[收接][下取受]|[索获]得|索[要取]|[带偷骗夺]走"
    f"|(?:从|向|跟|找|问)(?:[^，。；,.;\n的]{{1,8}})[{_TAKING}学](?!给)"
)

# Two ends of a scale. Words that hold a sign of one without its sense are taken out before (`_NO_END`).
_ENDS = [
    (re.compile(one), re.compile(other))
    for one, other in (
        ("大|超过", "小"),
        ("多", "少"),
        ("高", "[低矮]"),
        ("长", "短"),
        ("早", "[晚迟]"),
        ("快", "慢"),
        ("重", "轻"),
        ("贵", "便宜|廉价"),
        ("老|年长", "年轻|年幼"),
        ("[前先]", "后"),
        ("上", "下"),
        ("左", "右"),
        ("东", "西"),
        ("南", "北"),
        ("[里内]", "外"),
        ("[增加升]", "[减降]"),
        ("乘", "除"),
        ("真|正确|对", "[假错]"),
        ("[买购]", "[卖售]"),
        ("输入|进入", "输出|离开"),
        ("开始", "结束|终止"),
        ("出发|动身|启程", "[到抵]达"),
        ("[父爸爷]|丈夫", "[母妈奶妻]"),
        ("[兄哥]", "弟"),
        ("姐", "妹"),
        ("儿子", "女儿"),
        ("男", "女"),
        ("奇数|单数", "[偶双]数"),
        ("所有|全[部体]|每|任[何意]|一切", "[有某一]些|某个|部分|有的"),
        ("必|一定|肯定|总是", "可[以能]|也许|或许|有时|能够"),
        ("[和与及且]", "或"),
        ("相邻|紧邻|毗邻|挨着|紧挨|相连", "相隔|间隔|隔开|隔着|相距|隔(?=[了一两三几\\d])"),
        ("昨[天日晚早]|去年", "明[天日晚早年]"),
        ("今[天日晚早年]", "[昨明][天日晚早]|[去明]年"),
        ("春", "秋"),
        ("夏", "冬"),
        ("[夏秋]", "[冬春]"),
        ("[春夏]", "[秋冬]"),
        ("进", "出"),
        ("主[队场]", "客[队场]"),
        ("正面", "[反背]面"),
        ("旁边|隔壁|身边", "对面"),
        ("(?<!逆)顺(?:时针|序)", "(?:逆|反|倒)(?:时针|序)"),
        (f"{_CHANGED}[到至为成]", f"{_CHANGED}了"),
        ("远", "近"),
        ("深", "浅"),
        ("宽", "窄"),
        ("厚", "薄"),
        ("热", "冷"),
        ("新", "旧"),
        ("[胜赢]", "[输败]"),
        (_GIVES, _TAKES),
        ("同意|赞成|支持", "反对"),
        ("爱|喜欢", "恨|讨厌"),
        ("平行", "垂直"),
        ("横", "[竖纵]"),
        ("正数", "负数"),
        ("打开|开着|开启", "关闭|关上|关着"),
        ("充分", "必要"),
        ("直接", "间接"),
        ("首", "[末尾]"),
        ("同[侧向]|同一[侧边]", "异侧|[相反]向|对面"),
        ("成功|通过", "失败"),
        ("活着|存活", "死"),
        ("白天", "[黑夜]"),
        ("最先|首先", "最后|最终"),
        ("如果|若|要是|只要", "[只仅]有|除非"),
    )
]
_NO_END = re.compile(
    r"(?<![\d岁元度个名])以[上下]|[上下]述|下列|如下|"
    + listed("""
    大小 多少 长短 左右 上下 前后 东西 好多 大方 大学 大家 大约 大概 大部分 小气 小偷 小时 小说 高兴 身高 长度
    长大 成长 校长 擅长 重复 重新 体重 双重 老师 老板 前往 先生 加入 添加 参加 加油 除了 除此 删除 移除 去除
    进行 出现 提出 得出 指出 求出 找出 选出 列出 推出 做出 作出 给出 写出 说出 看出 算出 改进 春节
    附近 最近 永远 接近 近似 近来 热爱 冷静 新闻 爱好 可爱 恋爱 首都 首相 必要时 旧金山 新加坡 新西兰 死亡率
    对于 对应 对象 对方 针对 相对 假如 假设 假定 假期 如何 如此 例如 比如 譬如 有时候 参与 以及 或许 里程 公里
    英里 部分人
    """)
)

_PLAIN = str.maketrans("−×÷", "-*/")  # two of these lie among the Latin letters


def signs(text: str) -> tuple[list[str], list[str]]:
    """The names and the numbers of `text`, each in order of appearance.

    >>> signs("小明有三个苹果，Tom 有２个，甲排第一，一起吃了 -0.5 个")
    (['小明', 'Tom', '甲'], ['3', '2', '1', '-0.5'])

    Names are Latin words (case kept; b1 and lg are words, km behind a number is none), frequent given names and the
    stems 甲乙丙丁….
    """
    text = without_latin_units(unicodedata.normalize("NFKC", text).translate(_PLAIN))
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


def negations(text: str) -> int:
    """How many negations `text` has: 不, 没, 无, 非, 未, 否, 别; 没有 is one, so are 不同 and 相异.

    Not counted: questions (是否, 是不是) and words that only hold such a sign (无论, 非常, 特别).
    """
    return len(_NEGATION.findall(_NEUTRAL.sub(" ", text)))


def turned(before: str, after: str) -> bool:
    """Whether `after` names the other end of a scale, where `before` names one: 大于 → 小于, 所有 → 有些, 和 → 或.

    Of a pair of opposites, one must have become rarer and the other more frequent, or their order be another: a word
    that is only left out or added, as rewriting does (必须 → 得), is no sign.
    """
    before, after = (_NO_END.sub(" ", unicodedata.normalize("NFKC", text)) for text in (before, after))
    return before != after and any(_moved(_ends(before, pair), _ends(after, pair)) for pair in _ENDS)


def _ends(text: str, pair: tuple[re.Pattern[str], re.Pattern[str]]) -> str:
    """The order in which the two ends occur in `text`: ``"+-+"``."""
    found = [(match.start(), end) for end, pattern in zip("+-", pair, strict=True) for match in pattern.finditer(text)]
    return "".join(end for _, end in sorted(found))


def _moved(before: str, after: str) -> bool:
    up, down = (after.count(end) - before.count(end) for end in "+-")
    return up * down < 0 or (up == down == 0 and before != after)
