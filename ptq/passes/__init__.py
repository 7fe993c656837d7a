"""Graph in, graph out: rewriting passes, each of which says what it did and what it left alone."""
