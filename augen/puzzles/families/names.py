"""Names of people for families outside `BASIC`. The tiny models' tokenizer knows only the words of `words`."""

from augen.puzzles.families import words

CHINESE = ("张伟", "王芳", "李娜", "刘洋", "陈静", "赵磊", "孙悦", "周涛", "吴敏", "郑凯")
LATIN = ("Alice", "Bruno", "Clara", "David", "Elena", "Felix", "Greta", "Hugo", "Irene", "Jonas")
POOLS = (words.PEOPLE, CHINESE, LATIN)
