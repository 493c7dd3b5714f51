"""Broken and hostile programs for the tests of the sandbox, and mutations of sound ones.

`HOSTILE` names each with the cause of its abstention; None where it has an answer all the same.

``CANARY`` stands for the path of a file whose content would be an answer: ``answer("read").``
"""

import json
from random import Random

from augen.programs.language import CAUSES, Result

_PIGEONS = "1 {in(P,H) : H=1..11} 1 :- P=1..12. "

HOSTILE: dict[str, tuple[str, str | None]] = {
    # Files and code
    "include": ('#include "CANARY".', "forbidden"),
    "include without a space": ('#include"CANARY".', "forbidden"),
    "include in a later line": ('answer(1).\n\n  #include "CANARY".', "forbidden"),
    "include of a folder's file": ("#include <CANARY>.", "forbidden"),
    "include with a comment in it": ('#include %* x *%\n "CANARY".', "forbidden"),
    "include after a string with a bad escape": ('answer("\\t#include <CANARY>. ").', "syntax"),
    "include after a string without end": ('answer(").\n#include "CANARY".', "syntax"),
    "include after a quoted comment": ('answer("%*"). #include "CANARY". answer("*%").', "forbidden"),
    "include after a nested comment": ('%* %* *% *% #include "CANARY".', "forbidden"),
    "include after a carriage return": ('% x\r#include "CANARY".', None),
    "include in a comment": ('% #include "CANARY".\nanswer(1).', None),
    "include in a block comment": ('%* #include "CANARY".\n*% answer(1).', None),
    "include in a string": ('answer("#include <CANARY>").', "forbidden"),
    "include in capitals": ('#INCLUDE "CANARY".', "forbidden"),
    "include behind a NUL": ('answer(1).\x00#include "CANARY".', "syntax"),
    "use with a path": ("#use ../../CANARY.\nanswer(1).", "syntax"),
    "use of a string": ('#use "CANARY".\nanswer(1).', "syntax"),
    "use of an unknown module": ("#use nothing.\nanswer(1).", "syntax"),
    "use in the middle": ("answer(1).\n#use roads.", "syntax"),
    "use without a dot": ("#use roads\nanswer(1).", "syntax"),
    "lua": ('#script (lua) io.open("CANARY","w"):write("written") #end. answer(@f()).', "forbidden"),
    "python": ("#script (python)\nopen('CANARY','w').write('written')\n#end.\nanswer(1).", "forbidden"),
    "script with a space": ("# script (python) print(1) #end.", "forbidden"),
    "external function": ("answer(@open(1)).", "forbidden"),
    "external function, nested": ('answer(1) :- X = #sum{1,f(g(@f("CANARY"))) : a; 2}, X > 0.', "forbidden"),
    "external function in a condition": ("a :- b : c(@f(2)).", "forbidden"),
    "external function in minimize": ("{a}. #minimize{@f(1) : a}.", "forbidden"),
    "external function in a constant": ("#const n=@f(1). answer(n).", "forbidden"),
    "external function in a pool": ("answer((1;@f(1))).", "forbidden"),
    "external function in an interval": ("answer(1..@f(1)).", "forbidden"),
    "external function in show": ("#show @f(1) : a. a. answer(1).", "forbidden"),
    "external": ("#external a. answer(1).", "forbidden"),
    "program part": ("#program step(t). answer(1).", "forbidden"),
    "program base again": ("#program base. answer(1).", None),
    "theory atom": ("&sum{x} > 1. answer(1).", "forbidden"),
    "theory": ("#theory t { }. answer(1).", "forbidden"),
    "edge": ("#edge (a,b). answer(1).", "forbidden"),
    "heuristic": ("{a}. #heuristic a. [1,true] answer(1).", "forbidden"),
    "project": ("{a}. #project a/0. answer(1).", "forbidden"),
    "project atom": ("{a}. #project a : answer(1). answer(1).", "forbidden"),
    # Not programs
    "two ampersands": ("a && b.", "syntax"),
    "Chinese predicate": ("父亲(1,2). answer(1).", "syntax"),
    "Chinese full stop": ("answer(1)。", "syntax"),
    "curly quotes": ("answer(“甲”).", "syntax"),
    "string without end": ('answer("甲).', "syntax"),
    "string over two lines": ('answer("甲\n乙").', "syntax"),
    "comment without end": ("answer(1). %* never ends", "syntax"),
    "end of a comment": ("*% answer(1).", "syntax"),
    "rule without end": ("answer(1) :- a", "syntax"),
    "unsafe variable": ("answer(X) :- not a(X).", "syntax"),
    "unsafe in a choice": ("{a(X)}. answer(1).", "syntax"),
    "stray byte": ("answer(\x1b1).", "syntax"),
    "stray byte in a string": ('answer("\x01").', "syntax"),
    "half a surrogate pair": ('answer("\ud800").', "syntax"),
    "half a surrogate pair in a comment": ("% \udfff\nanswer(1).", "syntax"),
    "byte order mark": ("\ufeffanswer(1).", "syntax"),
    "delete sign": ("answer(1).\x7f", "syntax"),
    "prose": ("The answer is B because A is wrong.", "syntax"),
    "Prolog": ("answer(X) :- member(X,[1,2]).", "syntax"),
    "Python": ("def f(x):\n    return x\nprint(f(1))", "syntax"),
    "constant twice": ("#const n=1. #const n=2. answer(n).", "syntax"),
    "constants in a circle": ("#const a=b. #const b=a. answer(a).", "syntax"),
    "number above 2**31": ("answer(2147483648).", "syntax"),
    "number of 5000 digits": ("answer(" + "9" * 5000 + ").", "syntax"),
    "hexadecimal number above 2**31": ("answer(0xffffffff).", "syntax"),
    "empty": ("", None),
    "only a comment": ("% nothing", None),
    "division by zero": ("answer(1/0).", None),
    # Answers
    "contradiction": ("answer(1). a. :- a.", "no_model"),
    "odd loop": ("a :- not a. answer(1).", "no_model"),
    "a million models, one answer": ("{a(1..20)}. answer(1).", None),
    "2**40 models, one answer": ("{a(1..40)}. answer(1).", None),
    "a million models, many answers": ("{a(1..20)}. answer(X) :- a(X).", "several"),
    "two values at one place": ('answer(1,"a"). answer(1,"b").', "several"),
    "a list without numbers": ('answer(x,"a"). answer(y,"b").', "several"),
    "fifteen thousand values": ("answer(1..15000).", "several"),
    "an answer of 200,000 signs": ('answer("' + "长" * 200_000 + '").', "several"),
    "answer hidden by show": ("#show. #show b/0. answer(1). b.", None),
    "shows that are no answers": ("#show answer(2). #show answer(X) : X=1..9. answer(1).", None),
    # Time and memory
    "endless grounding": ("n(0). n(X+1) :- n(X). answer(1).", "time"),
    "recursive functions": ("n(z). n(s(X)) :- n(X). answer(1).", "time"),
    "growing tuples": ("n((1,1)). n((X,X)) :- n(X). answer(1).", "time"),
    "growing lists": ("l(nil). l(c(X,L)) :- l(L), X=1..9. answer(1).", "time"),
    "a huge interval": ("n(1..2147483647). answer(1).", "time"),
    "two billion tests": ("answer(1) :- X=1..2147483647, X*X = 7.", "time"),
    "triples of thousands": ("n(1..3000). p(X,Y,Z) :- n(X), n(Y), n(Z). answer(1).", "time"),
    "optimization that never ends": (_PIGEONS + "#minimize{1,P,Q : in(P,H), in(Q,H), P<Q}. answer(1).", "time"),
    "pigeon holes": (_PIGEONS + ":- in(P,H), in(Q,H), P<Q. answer(1).", "time"),
    "an aggregate over everything": ("{a(1..400)}. answer(S) :- S = #sum{X*X,X : a(X)}.", "time"),
    "a choice among millions": ("{a(1..3000,1..3000)}. answer(1).", "time"),
    "a program of two million signs": ("a. " * 700_000, "memory"),
    "two thousand facts": ("".join(f"a({i})." for i in range(2_000)) + "answer(1).", None),
    # Nesting
    "deep brackets": ("answer(" + "(" * 20_000 + "1" + ")" * 20_000 + ").", None),
    "deep functions": ("answer(" + "f(" * 100_000 + "1" + ")" * 100_000 + ").", "time"),
    "deep minus": ("answer(" + "-" * 400_000 + "1).", "time"),
    "a long sum": ("answer(" + "1+" * 200_000 + "1).", "time"),
    "a long body": ("a. answer(1) :- " + "a," * 1_000 + "a.", None),
    "open brackets": ("(" * 100_000, "syntax"),
    "many comments in comments": ("%*" * 100_000, "syntax"),
    "many quotes": ('"' * 100_001, "syntax"),
    # Numbers
    "overflow of a sum": ("answer(2147483647+1).", None),
    "overflow of a power": ("answer(2**2147483647).", None),
    "overflow of minimize": ("{a}. #minimize{2147483647@1,1 : a; 2147483647@1,2 : not a}. answer(1).", None),
    "overflow of weights": ("{a;b}. :- #sum{2147483647,a : a; 2147483647,b : b} < -1. answer(1).", None),
    "lowest number": ("answer(-2147483647-1). answer(|-2147483647-1|).", None),
    "lowest number divided": ("answer((-2147483647-1)/(-1)).", "crash"),
    "remainder of the lowest number": ("answer((-2147483647-1)\\(-1)).", "crash"),
}

SOUND = (
    '#use roads.\nroad("甲","乙"). road("乙","丙").\nanswer(X) :- reach("甲",X), not road(X,_).\n',
    "% 三人\np(1..3). 1 {at(P,S) : S=1..3} 1 :- p(P). :- at(P,S), at(Q,S), P<Q. at(1,2). :- at(2,1).\n"
    "answer(S,P) :- at(P,S).",
    "{q(X,Y) : Y=1..6} = 1 :- X=1..6. :- q(X,Y), q(Z,Y), X<Z. :- q(X,Y), q(Z,W), X<Z, |X-Z| = |Y-W|.\n"
    "pick(a) :- q(1,2).",
    'price("苹果",5). price("梨",3). %* 一共 *% answer(S) :- S = #sum{P,X : price(X,P)}.',
    "#const n = 4. f(1,1). f(I+1,F*(I+1)) :- f(I,F), I < n. answer(F) :- f(n,F).",
    "{in(1..5)}. :- #sum{X : in(X)} > 9. #maximize{X : in(X)}. answer(X) :- X = #count{Y : in(Y)}.",
    'knight(X) | knave(X) :- X = ("甲";"乙"). :- knight("甲"), knight("乙"). yes :- knave("甲"), not knight("丙").',
    ':~ a. [1@2,x] {a}. #show a/0. #defined b/1. pick(b) :- not a. pick("C") :- b(1).',
)
PIECES = (
    *"().,:;-+*/\\|&^~?!=<>{}[]\"'%#@_ \n\t\r\0aXx19",
    *(
        "%*",
        "*%",
        ":-",
        "..",
        "**",
        "not ",
        "#sum{",
        "#use roads.",
        "#include ",
        "#script(",
        "#minimize{",
        "#const ",
        "@f(",
    ),
    *(
        "甲",
        "，",
        "“",
        "\ud800",
        "\ufeff",
        "\x1b",
        "2147483647",
        "99999999999",
        "(((((",
        "f(f(f(",
        "1..9",
        "answer(",
        "yes",
    ),
)


def mutated(rng: Random) -> str:
    """One of the sound programs, with a few parts left out, doubled, taken from another one or put in."""
    text = rng.choice(SOUND)
    for _ in range(rng.randint(1, 5)):
        begin = rng.randrange(len(text) + 1)
        end = min(len(text), begin + rng.choice([0, 1, 1, 2, 5, 20]))
        other = rng.choice(SOUND)
        place = rng.randrange(len(other))
        middle = rng.choice(
            [
                "",
                text[begin:end] * 2,
                text[begin:end] * 40,
                other[place : place + 15],
                rng.choice(PIECES),
                rng.choice(PIECES),
            ]
        )
        text = text[:begin] + middle + text[end:]
    return text


def check(program: str, result: Result) -> None:
    """What must hold of every result, whatever the program."""
    assert result.cause is None or result.cause in CAUSES
    assert bool(result.answer_sets) == (result.cause is None)
    assert result.cause is None or result.message
    assert result.settled, result
    assert Result.from_json(json.loads(json.dumps(result.to_json()))) == result
    if result.line is not None:
        lines = program.split("\n")
        assert result.column is not None
        assert 1 <= result.line <= len(lines)
        assert 1 <= result.column <= len(lines[result.line - 1]) + 1
