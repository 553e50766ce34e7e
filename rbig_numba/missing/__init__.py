"""Rows with holes: their densities, draws of what is missing, and fits to them."""
