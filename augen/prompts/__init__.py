"""Builds prompts and fits them into the context window of a model."""
