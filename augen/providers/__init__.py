"""Thin wrappers of the providers' SDKs: a request in, an answer or an error of augen.calls.errors out.

Each SDK is imported only when its provider is asked for the first time: what is stored needs none of them.
"""
