"""Candidate sources over the state, their union, and how many of the targets it holds."""
