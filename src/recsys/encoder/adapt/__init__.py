"""First steps of the language model on the catalogue alone."""
