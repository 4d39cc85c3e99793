"""Ranking metrics, measures beyond accuracy, and their intervals."""
