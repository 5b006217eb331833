"""Put on PYTHONPATH, it notes the requests of the functions; see `bench.requests`."""
