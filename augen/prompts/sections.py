"""Builds every prompt of the project from the same four sections.

A prompt to *solve* ends where the reasoning begins::

    请解答下面的逻辑单选题。              instruction (params.yaml: prompt.solve)

    ### 题目                              one block like this per worked example, with its reasoning …
    …
    ### 题目                              … then the question to be solved
    三个人比身高：甲比乙高，乙比丙高。

    ### 问题
    谁最高？
    A: 乙
    B: 甲

    ### 分析过程

The model continues it with a reasoning whose last line is ``答案是：B`` (``QuestionItem.reasoning``). A prompt to
*explain* a given answer, right or wrong, has ``### 答案`` and that answer before ``### 分析过程``. A prompt for a
*program* ends in ``### 程序`` instead, and the model continues it with an answer-set program
(``QuestionItem.program``). A chat model, which has not been trained on such reasonings, is also told the format of the
answer where the instruction does not say it (`user_message`). The part that all prompts of a run share comes first, so
that an engine with prefix caching computes it once.

A puzzle may hold what looks like a part of a prompt: one of these headings, a line with an answer, a mark that ends a
turn. Those are written in another way (`unlike_ours`), so that a puzzle cannot bring a section of its own.
"""

import re
from collections.abc import Sequence

from augen.entries import QuestionItem, letter_of

Example = tuple[str, QuestionItem]  # a problem and one of its questions, solved

PROBLEM, QUESTION, ANSWER, REASONING, PROGRAM = "### 题目", "### 问题", "### 答案", "### 分析过程", "### 程序"
ANSWER_CUE = "答案是："


FORMAT = f"最后一行写“{ANSWER_CUE}”和所选选项的字母。"
_SAYS_FORMAT = re.compile(
    r"""答案[是为](?!什么|哪) | 答案[”"』」】]?[：:] | 最后一行
      | boxed | <answer | ["']answer | \banswer[ ]?(?:is|:) | (?:last|final)[ ]line""",
    re.IGNORECASE | re.VERBOSE,
)


_HEADINGS = "|".join(heading.removeprefix("### ") for heading in (PROBLEM, QUESTION, ANSWER, REASONING, PROGRAM))
_BLANK, _LINE_END = r"[ \t\u3000]*", r"(?:[\r\n\x0b\x0c\x85\u2028\u2029]|\Z)"
_HEADING = re.compile(rf"(?<!#)#{{3,}}+(?={_BLANK}(?:{_HEADINGS}){_BLANK}{_LINE_END})")
_ANSWER = re.compile(rf"^({_BLANK})(答案是[：:]{_BLANK}[A-JＡ-Ｊ][。.]?)(?={_BLANK}{_LINE_END})", re.MULTILINE)
_ASKED = re.compile(rf"^(?:{ANSWER}|{REASONING}|{PROGRAM})$", re.MULTILINE)
_LETTER = re.compile(r"^[A-Z]: ")
_MARK = re.compile(r"<(?=\|\w{1,40}\|>|/s>)")


def unlike_ours(text: str) -> str:
    """`text` of a puzzle; headings of prompts and marks of turns in full-width signs, lines with an answer in quotes.

    >>> unlike_ours("甲比乙高。\\n### 分析过程\\n答案是：A\\n### 问题一览<|im_end|>")
    '甲比乙高。\\n＃＃＃ 分析过程\\n“答案是：A”\\n### 问题一览＜|im_end|>'
    """
    return _ANSWER.sub(r"\1“\2”", _MARK.sub("＜", _HEADING.sub(lambda found: "＃" * len(found[0]), text)))


def answer_line(letter: str) -> str:
    """The last line of every reasoning: ``答案是：B``."""
    return f"{ANSWER_CUE}{letter}"


def problem_section(problem: str) -> str:
    """The first section of a puzzle, which its questions share."""
    return f"{PROBLEM}\n{unlike_ours(problem.strip())}"


def question_block(problem: str, question: QuestionItem) -> str:
    """The puzzle itself: problem, question and lettered options, without any answer."""
    options = [f"{letter_of(i)}: {option}" for i, option in enumerate(question.options)]
    asked = unlike_ours("\n".join([question.question.strip(), *options]))
    return f"{problem_section(problem)}\n\n{QUESTION}\n{asked}\n\n"


def worked_example(problem: str, question: QuestionItem) -> str:
    """A solved question, to be put before the question to be solved."""
    if question.reasoning is None:
        raise ValueError("a worked example needs a reasoning")
    return f"{question_block(problem, question)}{REASONING}\n{question.reasoning.strip()}\n\n"


def worked_program(problem: str, question: QuestionItem) -> str:
    """Like `worked_example`, but with the question's program."""
    if question.program is None:
        raise ValueError("a worked program needs a program")
    return f"{question_block(problem, question)}{PROGRAM}\n{question.program.strip()}\n\n"


def solve_prompt(
    instruction: str,
    problem: str,
    question: QuestionItem,
    examples: Sequence[Example] = (),
) -> str:
    """Instruction, worked examples ``(problem, question)`` and the question; the model writes the reasoning."""
    solved = "".join(worked_example(*example) for example in examples)
    return f"{instruction.strip()}\n\n{solved}{question_block(problem, question)}{REASONING}\n"


def program_prompt(instruction: str, problem: str, question: QuestionItem, examples: Sequence[Example] = ()) -> str:
    """Like `solve_prompt`, but the examples have programs, and the model writes a program."""
    solved = "".join(worked_program(*example) for example in examples)
    return f"{instruction.strip()}\n\n{solved}{question_block(problem, question)}{PROGRAM}\n"


def explain_prompt(instruction: str, problem: str, question: QuestionItem, answer: str) -> str:
    """The question with a given `answer`; the model writes a reasoning that leads to it."""
    return (
        f"{instruction.strip()}\n\n{question_block(problem, question)}{ANSWER}\n{answer_line(answer)}\n\n{REASONING}\n"
    )


def puzzle_of(prompt: str) -> str:
    """What `prompt` is about: problem, question and options, without letters and in an order of their own.

    So it is the same for a reasoning and for a program, and however the options are shuffled. Another text is about
    itself.

    >>> item = QuestionItem("谁最高？", ["乙", "甲"])
    >>> puzzle_of(solve_prompt("请解答。", "甲比乙高。", item)).split()
    ['###', '问题', '乙', '甲', '甲比乙高。', '谁最高？']
    >>> puzzle_of(program_prompt("请写程序。", "甲比乙高。", QuestionItem("谁最高？", ["甲", "乙"]))).split()
    ['###', '问题', '乙', '甲', '甲比乙高。', '谁最高？']
    """
    _, section, rest = prompt.rpartition(f"{PROBLEM}\n")
    if not section:
        return prompt
    puzzle = _ASKED.split(rest)[0]
    return "\n".join(sorted(_LETTER.sub("", line) for line in puzzle.splitlines() if line))


def user_message(prompt: str) -> str:
    """`prompt` as it is said to a chat model: one that asks for a reasoning also says how the answer is to be written.

    Nothing is added where the instruction says so itself.

    >>> user_message("请解答。\\n\\n### 题目\\n甲比乙高。\\n\\n### 分析过程\\n")
    '请解答。最后一行写“答案是：”和所选选项的字母。\\n\\n### 题目\\n甲比乙高。\\n\\n### 分析过程\\n'
    """
    instruction, section, rest = prompt.partition(f"\n\n{PROBLEM}\n")
    if not rest.endswith(f"{REASONING}\n") or _SAYS_FORMAT.search(instruction):
        return prompt
    return f"{instruction}{FORMAT}{section}{rest}"


def completion(reasoning: str, end: str) -> str:
    """The text that a model is trained to write after a prompt: the reasoning and its end-of-text token `end`."""
    return f"{reasoning.strip()}{end}"


def query_text(problem: str, question: QuestionItem) -> str:
    """The text of a question that is embedded: its problem and the question itself, without the options."""
    return f"{problem.strip()}\n{question.question.strip()}"
