"""Which modules pytest does not import when it looks for doctests: they set the environment, or load vLLM."""

collect_ignore = ["augen/generation/engines/ray.py", "augen/generation/engines/vllm.py", "benchmarks/infer.py"]
