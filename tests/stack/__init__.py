"""The real thing: broker, web, workers and clock as processes, driven from outside."""
