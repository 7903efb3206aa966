"""Cold pulls of one image on one node, one after the other: what they take, stage by stage, and of what."""
