r"""A text without what only decorates it, in which places of the text itself can be found again. Pure.

>>> plain = Plain.of("**答案**：Ｂ\n\n---\n")
>>> plain.text, plain.origin(3)
('答案:B\n', 7)
"""

import re
import unicodedata
from bisect import bisect_right
from typing import NamedTuple


class Plain(NamedTuple):
    """A text with half-width signs and simplified characters, without emphasis and tags, up to a made-up next section.

    Each run of white space, with lines that only rule off (``---``), is one space or line end. `starts` says where its
    pieces start, `origins` where they stood.
    """

    text: str
    starts: list[int]
    origins: list[int]

    @classmethod
    def of(cls, text: str) -> "Plain":
        folded = text.translate(_FOLDED)
        pieces: list[str] = []
        starts: list[int] = []
        origins: list[int] = []
        length = at = 0
        for match in [*_DECORATION.finditer(folded), None]:
            start, stop = match.span() if match else (len(folded), len(folded))
            gap = "" if match is None or match["dropped"] else "\n" if "\n" in match[0] or "\r" in match[0] else " "
            for piece, origin in ((folded[at:start], at), (gap, start)):
                pieces.append(piece)
                starts.append(length)
                origins.append(origin)
                length += len(piece)
            at = stop
        return cls(_NEXT_SECTION.split("".join(pieces), maxsplit=1)[0], starts, origins)

    def origin(self, place: int) -> int:
        """Where the character at `place` stood."""
        piece = bisect_right(self.starts, place) - 1
        return self.origins[piece] + place - self.starts[piece]


_TRADITIONAL = "選擇項確應為爲該綜結論錯誤對題說説問這個終們認設還與無麼嗎當沒實際見來從準僅據條後則並須敘陳訂糾"
_SIMPLIFIED = "选择项确应为为该综结论错误对题说说问这个终们认设还与无么吗当没实际见来从准仅据条后则并须叙陈订纠"
_LETTERLIKE = (range(0xFF01, 0xFF5F), range(0x24B6, 0x24EA), range(0x1D400, 0x1D6A4), range(0x1F130, 0x1F14A))
_FOLDED: dict[int, int | str] = {
    **{code: unicodedata.normalize("NFKC", chr(code)) for codes in _LETTERLIKE for code in codes},
    **{0x1F170 + i: chr(ord("A") + i) for i in range(26)},  # 🅰
    **str.maketrans(_TRADITIONAL, _SIMPLIFIED),
}

_DECORATION = re.compile(
    r"""
    (?= [*`$_<\s\-=—─\u200b-\u200d\u2060\ufe0f\ufeff] )
    (?: (?P<dropped>
        [*`$\u200b-\u200d\u2060\ufe0f\ufeff]                            # emphasis, code, formulas, invisible signs
      | _ (?![A-Za-z0-9]) | (?<![A-Za-z0-9]) _
      | < /? (?: strong | b | i | u | p | em | font | span | div | br | mark | code | center | sub | sup | h[1-6]
               | li | ul | ol | td | tr | th | table | tbody | small | big | blockquote | details | summary
               | eo[a-z] | \|[a-z_]{1,20}sep[a-z_]{0,20}\| ) (?: [ ] [^<>\n]{0,120} )? /? >
    )
    | (?: \s | (?<![^\n]) [-=—─]{3,} (?= \s | $ ) )+ )
    """,
    re.VERBOSE,
)

# A heading that begins a new puzzle in our prompts ("### 问题分析" is part of an answer), or the end of a turn.
_NEXT_SECTION = re.compile(
    r"""^ [ ]? \#{1,6} [ ]? (?:题目|问题) [ ]? [\d一二三四五六七八九十]{0,3} (?![\u4e00-\u9fff])
      | < \| (?: im_end | im_start | endoftext | end_of_text | eot_id | return ) \| > | </s>""",
    re.VERBOSE | re.MULTILINE,
)
