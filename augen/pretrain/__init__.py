"""The committed stand-in models, trained from scratch: a generator of two million weights, a checker, an embedder.

Only ``stages/pretrain.py`` uses this package. The models are loaded by the same code as any other.
"""
