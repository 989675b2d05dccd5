"""Vessel findings simulated in a part of a head that is kept.

Anatomy, vessels, tissue, texture and the field of a head cost most of a simulation and do not depend on a clot. A head
without a clot is therefore simulated once and kept. A finding in its vessels changes little: the lumen that it fills,
its field, which is linear in the susceptibility, and the flow downstream of it. Only a box around it is simulated
again, at the spacing of the head or finer, with the vessels painted from the continuous trees.

Modules: ``kept_head`` (the head, in memory or in a file), ``findings`` (clots, and what resembles them), ``patch``
(images and truth of a box).
"""
