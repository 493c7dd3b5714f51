"""Which option a text chooses, and questions with their options in another order."""

from augen.answers.parser import answer_place, parse_answer

__all__ = ["answer_place", "parse_answer"]
