"""Experiments of one's own: any problem, start and training, with statements of one's own."""

from descentflow.config.study import ANY_NAME, Figure, Study

STUDY = Study(
    name="explore",
    title="Experiments of one's own",
    paper="own conjectures",
    description="experiments by configuration alone",
    figures={
        "risk_curves": Figure(ANY_NAME, "Risk curves"),
        "final_risks": Figure(ANY_NAME, "Histogram of final risks"),
        "norms": Figure(ANY_NAME, "Norms of parameters and gradients"),
        "distances": Figure(ANY_NAME, "Distance to the last parameters"),
        "realizations": Figure(ANY_NAME, "Networks and their target"),
        "sharpness": Figure(ANY_NAME, "Largest eigenvalue of the Hessian"),
        "heat_map": Figure(ANY_NAME, "Median final risk over two swept keys"),
        "kinks": Figure(ANY_NAME, "Where kinks end"),
    },
    order=8,
)
