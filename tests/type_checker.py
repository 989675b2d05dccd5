"""The checker of annotations that jaxtyping puts on every function while tests run."""

from beartype import BeartypeConf, beartype

# By PEP 484 an int is a float too: mypy reads it so, and so do we.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
