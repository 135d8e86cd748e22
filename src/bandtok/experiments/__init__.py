"""Experiments: complete comparisons by name, and the page that shows them."""
