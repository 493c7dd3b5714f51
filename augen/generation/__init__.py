"""Texts from models: one request and completion, sampled by a local engine or bought from a provider."""
