"""Width and letters of figures in the configuration."""

import math

import pytest

from descentflow.config.figure_look import FigureLook
from descentflow.config.validate import check
from descentflow.errors import ConfigurationError
from descentflow.schema.model import parse

STUDIES = {
    "constant_targets": {
        "convergence": {
            "inputs": {"law": "uniform"},
            "target": {"kind": "constant", "value": 1},
            "network": {"hidden": 4, "activation": "relu"},
            "initialization": {"law": "normal", "count": 2},
            "training": {"method": "gd", "step_size": 0.01, "steps": 10},
        }
    }
}


@pytest.mark.parametrize(
    ("written", "inches"),
    [("3.4in", 3.4), ("8.6cm", 8.6 / 2.54), ("86mm", 8.6 / 2.54), ("246.0pt", 246 / 72.27)],
)
def test_widths_in_all_units(written: str, inches: float) -> None:
    look = FigureLook(column=written, page=written)
    assert math.isclose(look.scale(3.4) * 3.4, inches, rel_tol=1e-15)
    assert math.isclose(look.scale(7.0) * 7.0, inches, rel_tol=1e-15)


def test_columns_and_pages_have_widths_of_their_own() -> None:
    look = FigureLook(page="3.5in")
    assert [look.scale(width) for width in (3.4, 5.1, 5.3, 7.0)] == [1.0, 1.0, 0.5, 0.5]


REFUSED = {
    "column: a width is needed, such as 3.4in": {"column": "3.4"},
    "column: must be from 2in to 12in": {"column": "1mm"},
    "font: ": {"font": "$HOME"},
    "preamble: is read only with usetex: true": {"preamble": r"\usepackage{lmodern}"},
    "colum: unknown key (did you mean 'column'?)": {"colum": "3in"},
}


@pytest.mark.parametrize(("message", "written"), REFUSED.items())
def test_what_is_refused(message: str, written: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as refused:
        check({"seed": 1, "figures": written, "studies": STUDIES})
    assert f"figures.{message}" in str(refused.value)


def test_defaults_are_left_out_of_jobs() -> None:
    """So that a configuration without the key draws nothing again."""
    assert FigureLook().model_dump(exclude_defaults=True) == {}
    assert parse(FigureLook, {"column": "3in"}).model_dump(exclude_defaults=True) == {
        "column": "3in"
    }
