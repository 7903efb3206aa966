"""Spans of the nodes' runtimes, received as OTLP, kept on disk, and made records of when their pull is over."""
