"""Losses of the encoder, one file each."""
