"""How good reconstructions and tokens are: distances, statistics, pictures, corpus reports."""
