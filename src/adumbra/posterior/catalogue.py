"""The one place that knows the names of posteriors."""

from collections.abc import Callable, Mapping

from adumbra.posterior.base import Loaded, Posterior
from adumbra.posterior.dropout import MCDropout

POSTERIORS: Mapping[str, Callable[[Loaded], Posterior]] = {
    "dropout": MCDropout,
}
