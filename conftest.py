"""Which modules pytest passes over when it looks for doctests, unless they are named on its command line."""

# They set the environment when they are imported, or load vLLM. None has examples.
collect_ignore = ["augen/generation/engines/ray.py", "augen/generation/engines/vllm.py", "benchmarks/infer.py"]
# They import torch, which takes longer than all unit tests. `make test` names those with examples.
collect_ignore += ["augen/core/cores.py", "augen/generation/engines/transformers.py", "augen/training/trainer.py"]
collect_ignore += ["augen/scorer/train.py", "augen/scorer/pairwise.py", "augen/adapter/train.py", "augen/pretrain"]
collect_ignore += ["augen/preference/dpo.py", "augen/preference/grpo.py", "augen/preference/train.py"]
collect_ignore += ["benchmarks/judges.py", "benchmarks/rewriting.py", "tools/gpu_pretrain.py"]
