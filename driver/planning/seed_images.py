"""The images of the study that this one repeats: converged-computing's pulling-aws, in container-chonks (MIT).

Each size was built with 9 and with 125 layers; a tag tells both: ``<layers>-layers-size-<bytes>-bytes``, bytes as the
registry holds them.
"""

REPOSITORY = "ghcr.io/converged-computing/container-chonks-run1"

_LAYERS = (9, 125)
_LOOK_BYTES = (1176249324, 2770722493, 19034736629)  # a job each of some 15, 27 and 153 s on c5a.4xlarge
_SMALLER_BYTES = (
    *(48702097, 53049507, 66460665, 86388866, 103513992, 127399102, 158049655),
    *(213665412, 266728773, 315018606, 387602448, 491514346, 682439577),
)
_LARGE_BYTES = (6836726027, 10902729561, 14968733095)  # run upstream, and in none of its similarity tables


def _tags(*sizes: int) -> tuple[str, ...]:
    return tuple(f"{layers}-layers-size-{size}-bytes" for layers in _LAYERS for size in sorted(sizes))


SEED = "seed"
TAGS = {
    SEED: _tags(*_SMALLER_BYTES, *_LOOK_BYTES),
    "seed-38": _tags(*_SMALLER_BYTES, *_LOOK_BYTES, *_LARGE_BYTES),
    "quick": _tags(*_LOOK_BYTES),
}
"""By the name that ``--study`` takes: the 32 images of the similarity tables, the 38 that were run, and 6 of the 32."""
