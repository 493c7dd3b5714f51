"""Preference training: the generator's adapters learn further, from pairs of reasonings or from what a solver says."""
