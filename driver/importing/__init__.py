"""Logs of an earlier run, brought into a study."""
