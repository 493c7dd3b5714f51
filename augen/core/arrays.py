"""Names for the kinds of arrays that travel between the parts."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[Any]


Floats = NDArray[np.float64]


Bools = NDArray[np.bool_]
