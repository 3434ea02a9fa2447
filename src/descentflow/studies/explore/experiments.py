"""The experiments of the study ``explore``: under any name, whatever the engines can compute."""

from descentflow.config.exploration import Exploration, drawn, problems_together
from descentflow.config.study import ANY_NAME, ExperimentType

EXPERIMENTS = {
    ANY_NAME: ExperimentType(Exploration, deep=True, find_together=problems_together, drawn=drawn),
}
