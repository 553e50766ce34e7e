"""Rows in blocks: where they come from, where they live, what is done with each of them."""
