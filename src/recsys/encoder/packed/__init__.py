"""Texts laid end to end: the pretrained model's pass over a catalogue on a GPU, without padding or masks."""
