"""What ``collector check`` looks at, one module a place, each check a line: what was found, and what to do about it.

Every connection is made and every permission asked for; nothing is written into the study's data.
"""
