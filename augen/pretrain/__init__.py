"""The committed stand-in models: a generator of about two million weights and an embedder, both from scratch.

Only ``stages/pretrain.py`` uses this package. What it writes is loaded by the same code as any other model.
"""
