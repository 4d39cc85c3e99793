"""Item vectors, user vectors and interest columns, without torch."""
