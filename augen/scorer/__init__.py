"""The scorer, an outcome reward model: how probable is it that a reasoning is right?"""
