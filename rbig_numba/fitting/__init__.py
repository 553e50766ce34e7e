"""The greedy fit: samples, candidates that compete, and the loop over them."""
