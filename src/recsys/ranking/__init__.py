"""The reranker: its frame of rows, its training, and the fast walk of its trees."""
