"""Augmented generation for Chinese multiple-choice logic puzzles.

The stages of the pipeline (``stages/``) are thin; everything they do lives here, one subject per module.
"""

import os

# Threads of torch that wait for each other let the processor go meanwhile, unless the user has said otherwise. They
# would spin, and where something else runs on one of two cores, a training step then takes three to ten times as long.
# Set here because OpenMP reads it when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
