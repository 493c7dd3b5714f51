"""Reasonings for right and for wrong answers, and who writes them."""
