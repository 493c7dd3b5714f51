"""Servers on 127.0.0.1 that behave as the paid APIs do: signatures, limits, quotas, errors, latency, faults on demand.

Tests and benchmarks call them through the providers' real SDKs. ``python -m demo`` (make demo-apis) runs all three, to
try the paid backends without an account.
"""
