"""Augmented generation for Chinese multiple-choice logic puzzles.

The stages of the pipeline (``stages/``) are thin; everything they do lives here, one subject per module.
"""
