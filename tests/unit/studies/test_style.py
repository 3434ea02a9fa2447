"""Files of a figure do not depend on one another."""

from pathlib import Path

import numpy as np
import pytest

from descentflow.studies import style


@pytest.mark.parametrize("kind", ["pdf", "svg", "png"])
def test_bytes_do_not_depend_on_other_formats(kind: str, tmp_path: Path) -> None:
    """Alone and as the last of four; parts of it are pixels, as in heat maps."""
    found = []
    for kinds in ([kind], ["png", "pdf", "svg", kind]):
        with style.paper():
            figure, (panel,) = style.new(2.0, 1.5)
            panel.imshow(np.arange(6.0).reshape(2, 3), aspect="auto")
            paths = [tmp_path / f"{len(kinds)}-{n}.{each}" for n, each in enumerate(kinds)]
            style.save(figure, paths)
        found.append(paths[-1].read_bytes())
    assert found[0] == found[1]
