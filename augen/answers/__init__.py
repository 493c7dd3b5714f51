"""Reads which option a text chooses, and shuffles the options of questions."""

from augen.answers.parser import answer_place, parse_answer

__all__ = ["answer_place", "parse_answer"]
