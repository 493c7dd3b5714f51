"""Worked examples: solved questions that are similar to the one asked."""
