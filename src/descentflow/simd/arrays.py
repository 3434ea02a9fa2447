"""The one array type: all that is computed here is in double precision."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
