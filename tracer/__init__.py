"""Glassbottom's tracer: watches a container stack from outside and shows every layer of `docker run`."""
