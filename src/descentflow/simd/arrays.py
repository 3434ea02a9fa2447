"""The array type of this package: all arithmetic is in double precision."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
