"""Reads which option a text chooses, takes thinking off it, and shuffles the options of questions."""

from augen.answers.parser import answer_place, parse_answer
from augen.answers.thinking import split_thinking, with_thinking

__all__ = ["answer_place", "parse_answer", "split_thinking", "with_thinking"]
