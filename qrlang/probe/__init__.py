"""Diagnostics of a model: what its state, its gradients and its loop are like.

Each module is one diagnostic: it takes a `Subject` and returns a `Finding`, a table and a picture.
What is computed, and after whom, is in docs/probe.md.
"""
