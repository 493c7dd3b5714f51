"""Terms of kinship and colours, which stand for each other in a wrong translation. Pure."""

import re
from collections import Counter

from augen.rewriting.signs import any_of, listed

# Terms of kinship, those of one meaning on one line; the first is the name of all.
_KIN = """
    爸爸 父亲 爹 老爸
    妈妈 母亲 娘亲 老妈
    爷爷 祖父
    奶奶 祖母
    外公 姥爷 外祖父
    外婆 姥姥 外祖母
    父母 双亲 爸妈
    祖父母
    外祖父母
    哥哥 兄长 大哥
    弟弟 小弟
    姐姐 大姐
    妹妹 小妹
    兄弟
    姐妹 姊妹
    兄弟姐妹
    兄妹
    姐弟
    丈夫 老公
    妻子 老婆
    夫妻 夫妇
    儿子
    女儿
    子女 儿女
    孩子 小孩
    孙子
    孙女
    孙辈
    外孙女
    外孙
    曾孙 曾孙子
    曾祖父 曾祖 太爷爷
    曾祖母 太奶奶
    侄子 侄儿
    侄女
    外甥女
    外甥
    叔叔 叔父
    伯伯 伯父 大伯
    婶婶 婶母
    伯母 伯娘
    舅舅 舅父
    舅妈 舅母
    姑姑 姑妈 姑母
    姑父 姑丈
    姨妈 姨母 阿姨
    姨父 姨丈
    岳父 丈人
    岳母 丈母娘
    公公
    婆婆
    女婿
    儿媳 儿媳妇 媳妇
    嫂子 嫂嫂
    弟媳 弟妹
    姐夫
    妹夫
    继父
    继母
    继子
    继女
    养父
    养母
    养子
    养女
    曾孙女
    玄孙
    侄孙
    侄孙女
    叔祖父 叔公
    舅公 舅祖父
    姑婆 姑奶奶
    姨婆 姨奶奶
    连襟
    妯娌
    亲家
    小舅子 大舅子
    小姨子 大姨子
    小姑子 大姑子
    小叔子 大伯子
    长子 大儿子
    次子 二儿子
    幼子 小儿子
    长女 大女儿
    次女 二女儿
    幼女 小女儿
    父子
    父女
    母子
    母女
    未婚夫
    未婚妻
"""
_COUSINS = """
    哥 兄 哥哥/弟 弟弟/姐 姐姐/妹 妹妹/叔 叔叔 叔父/伯 伯伯 伯父/舅 舅舅/姑 姑姑/姨 姨妈/侄 侄子/侄女
    /兄弟/姐妹/兄妹/姐弟
"""
_TERM = {word: line.split()[0] for line in _KIN.strip().splitlines() for word in line.split()}
_TERM |= {
    side + word: side + line.split()[0] for side in "堂表" for line in _COUSINS.split("/") for word in line.split()
}
_TERMS = re.compile(any_of(list(_TERM)))


def kinship(text: str) -> list[str]:
    """The terms of kinship in `text`, in order, each by one name: 父亲 is 爸爸.

    >>> kinship("甲是乙的父亲，丙是乙的堂哥")
    ['爸爸', '堂哥']
    """
    return [_TERM[word] for word in _TERMS.findall(text)]


_NO_COLOUR = listed("""
    白天 明白 空白 坦白 表白 白菜 黑板 黑客 黑夜 黄瓜 黄昏 黄金 青年 青蛙 青椒 银行 现金 奖金 金属 金额 金钱 基金
    粉丝 粉末 灰尘 红茶 绿茶 小红
""")
_COLOUR = re.compile(rf"{_NO_COLOUR}|(?P<colour>[红橙黄绿青蓝紫白黑灰粉棕褐金银])")


def colours_exchanged(before: str, after: str) -> bool:
    """Whether a colour, also one of a single sign (红比蓝多), has taken the place of another.

    One that is only left out or added is no sign, since the words that hold one (白天) have synonyms.
    """
    old, new = ([m["colour"] for m in _COLOUR.finditer(text) if m["colour"]] for text in (before, after))
    in_old, in_new = Counter(old), Counter(new)
    if in_old - in_new and in_new - in_old:
        return True
    same = {colour for colour in in_old if in_old[colour] == in_new[colour]}
    return [colour for colour in old if colour in same] != [colour for colour in new if colour in same]
