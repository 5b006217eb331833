"""The package that the functions are made of."""
