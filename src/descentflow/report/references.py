"""What to cite, in BibTeX: this software, and the papers whose results it regenerates."""

import re
from collections.abc import Sequence

from descentflow.config.catalogue import STUDIES
from descentflow.studies import claims_table
from descentflow.studies.claims_table import Row

ENTRIES = """\
@misc{descentflow,
  title = {descentflow},
  author = {{The descentflow developers}},
  version = {0.1.0},
  year = {2026},
  note = {Exact risks, gradient descent and gradient flow of neural networks},
}

@misc{cheridito2021constant,
  title = {A proof of convergence for gradient descent in the training of artificial neural
    networks for constant target functions},
  author = {Cheridito, Patrick and Jentzen, Arnulf and Riekert, Adrian and Rossmannek, Florian},
  year = {2021},
  howpublished = {arXiv:2102.09924},
}

@misc{jentzen2021random,
  title = {A proof of convergence for the gradient descent optimization method with random
    initializations in the training of neural networks with ReLU activation for piecewise
    linear target functions},
  author = {Jentzen, Arnulf and Riekert, Adrian},
  year = {2021},
  howpublished = {arXiv:2108.04620},
}

@misc{jentzen2021flows,
  title = {Convergence analysis for gradient flows in the training of artificial neural networks
    with ReLU activation},
  author = {Jentzen, Arnulf and Riekert, Adrian},
  year = {2021},
  howpublished = {arXiv:2107.04479},
}

@misc{gallon2022blowup,
  title = {Blow up phenomena for gradient descent optimization methods in the training of
    artificial neural networks},
  author = {Gallon, Davide and Jentzen, Arnulf and Lindner, Felix},
  year = {2022},
  howpublished = {arXiv:2211.15641},
}

@misc{du2018minima,
  title = {Gradient Descent Finds Global Minima of Deep Neural Networks},
  author = {Du, Simon S. and Lee, Jason D. and Li, Haochuan and Wang, Liwei and Zhai, Xiyu},
  year = {2018},
  howpublished = {arXiv:1811.03804},
}

@misc{jentzen2021stochastic,
  title = {A proof of convergence for stochastic gradient descent in the training of artificial
    neural networks with ReLU activation for constant target functions},
  author = {Jentzen, Arnulf and Riekert, Adrian},
  year = {2021},
  howpublished = {arXiv:2104.00277},
}

@misc{jentzen2024nonconvergence,
  title = {Non-convergence to global minimizers for Adam and stochastic gradient descent
    optimization and constructions of local minimizers in the training of artificial neural
    networks},
  author = {Jentzen, Arnulf and Riekert, Adrian},
  year = {2024},
  howpublished = {arXiv:2402.05155},
}

@misc{do2024nonconvergence,
  title = {Non-convergence to global minimizers in data driven supervised deep learning: Adam
    and stochastic gradient descent optimization provably fail to converge to global
    minimizers in the training of deep neural networks with ReLU activation},
  author = {Do, Thang and Hannibal, Sonja and Jentzen, Arnulf},
  year = {2024},
  howpublished = {arXiv:2410.10533},
}

@misc{hanin2019regions,
  title = {Complexity of Linear Regions in Deep Networks},
  author = {Hanin, Boris and Rolnick, David},
  year = {2019},
  howpublished = {arXiv:1901.09021},
}

@misc{lu2019dying,
  title = {Dying ReLU and Initialization: Theory and Numerical Examples},
  author = {Lu, Lu and Shin, Yeonjong and Su, Yanhui and Karniadakis, George Em},
  year = {2019},
  howpublished = {arXiv:1903.06733},
}
"""

_ENTRY = re.compile(r"^@.*?^}$", re.MULTILINE | re.DOTALL)


def text_for(rows: Sequence[Row]) -> str:
    """Return the entries of the software and of the papers of the studies in a table of claims."""
    papers = " ".join(STUDIES[study].paper for study in claims_table.by_study(rows))
    return "\n\n".join(entry for entry in _ENTRY.findall(ENTRIES) if _is_for(entry, papers)) + "\n"


def _is_for(entry: str, papers: str) -> bool:
    """Whether an entry is the software's, or that of one of the papers."""
    number = re.search(r"arXiv:[\d.]+", entry)
    return number is None or number[0] in papers
