"""The shared vocabulary: what a pull is, how the kubelet speaks of it, and how sizes and durations are written.

Pure: nothing here reads a file, a socket, a clock or a random number, and nothing here imports
another package of the project.
"""
