"""Write the Workflow Run RO-Crate: inputs, the action of each job, outputs, and the papers.

RO-Crate 1.1 with the profiles Process, Workflow and Provenance Run Crate 0.5 and Workflow RO-Crate
1.0. Every identifier is a path or a name, never drawn at random, and the only date is the one given,
so the same results give the same text. Run times are left out.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from descentflow import __version__
from descentflow.planning.jobs import Job

NAME = "ro-crate-metadata.json"
WORKFLOW = "workflow/Snakefile"
DESCRIBING = ("figures/MANIFEST.json", "CITATION.cff", "LICENSE")
"""Files about the results, which are listed where they are there."""
CONTEXT = [
    "https://w3id.org/ro/crate/1.1/context",
    "https://w3id.org/ro/terms/workflow-run/context",
]
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
STAGES = {
    "certify": "List the critical risks of a problem and prove the list",
    "sample": "Draw the initial parameters of a chunk",
    "sample_below": "Draw initial parameters of a chunk below the least critical risk",
    "train": "Gradient descent or gradient flow, one segment of a chunk",
    "aggregate": "Join a study's runs into one dataset",
    "draw": "Draw a study's figures",
    "judge": "Judge the claims",
    "show_claims": "Show the table of claims as a picture and as a page",
}
OUTPUTS = {
    "certify": "landscapes",
    "aggregate": "datasets",
    "draw": "figures",
    "judge": "claims",
    "show_claims": "pages",
}
"""The workflow's outputs by the stage that makes them; other files are between stages."""

FORMATS = {
    ".nc": "application/x-netcdf",
    ".csv": "text/csv",
    ".html": "text/html",
    ".tex": "application/x-tex",
    ".bib": "application/x-bibtex",
    ".pdf": "application/pdf",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".json": "application/json",
    ".yaml": "application/yaml",
    ".cff": "application/yaml",
    ".lock": "text/plain",
}


Reference = dict[str, str]
Files = Mapping[str, tuple[str, int]]
"""SHA-256 and size of every file, by name."""


def metadata(
    jobs: Sequence[Job], files: Files, config: str, lock: str, citation: Mapping[str, Any], day: str
) -> bytes:
    """Return the crate's metadata file; ``day`` is the date of publication."""
    crate = _Crate(files)
    crate.add_root(citation, day)
    crate.add_files(jobs, config, lock)
    crate.add_workflow([stage for stage in STAGES if stage in {job.stage for job in jobs}])
    crate.add_run(jobs, config, lock)
    graph = sorted(
        crate.entities.values(), key=lambda e: (e["@id"] != NAME, e["@id"] != "./", e["@id"])
    )
    document = {"@context": CONTEXT, "@graph": graph}
    return (json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def digests_of(text: str) -> dict[str, str]:
    """Return the SHA-256 of every file in a crate's metadata; raises ValueError for other text."""
    graph = json.loads(text)["@graph"]
    return {
        str(entity["@id"]): str(entity["sha256"])
        for entity in graph
        if isinstance(entity, dict) and "sha256" in entity
    }


class _Crate:
    """A graph of entities by identifier; methods add entities and return references to them."""

    def __init__(self, files: Files) -> None:
        self.entities: dict[str, dict[str, Any]] = {}
        self._files = files

    def _add(self, identifier: str, kind: str | list[str], /, **properties: Any) -> Reference:
        self.entities.setdefault(identifier, {"@id": identifier, "@type": kind, **properties})
        return {"@id": identifier}

    def add_root(self, citation: Mapping[str, Any], day: str) -> None:
        self._add(
            NAME,
            "CreativeWork",
            about={"@id": "./"},
            conformsTo={"@id": "https://w3id.org/ro/crate/1.1"},
        )
        names = [str(author.get("name")) for author in citation.get("authors", [])]
        license_name = str(citation.get("license"))
        self._add(
            "./",
            "Dataset",
            name=f"descentflow {__version__}: results, sources and how they were made",
            description=str(citation.get("abstract", "")),
            datePublished=day,
            version=__version__,
            keywords=", ".join(map(str, citation.get("keywords", []))),
            author=[
                self._add(f"#author-{number}", "Organization", name=name)
                for number, name in enumerate(names)
            ],
            license=self._add(
                f"https://spdx.org/licenses/{license_name}", "CreativeWork", name=license_name
            ),
            conformsTo=[
                self._add(url, "CreativeWork", name=name, version=url.rpartition("/")[2])
                for url, name in PROFILES.items()
            ],
            citation=[self._paper(paper) for paper in citation.get("references", [])],
            mainEntity={"@id": WORKFLOW},
        )

    def _paper(self, paper: Mapping[str, Any]) -> Reference:
        url = str(paper["url"])
        return self._add(
            url,
            "ScholarlyArticle",
            name=str(paper["title"]),
            author=[self._person(person) for person in paper["authors"]],
            identifier=f"arXiv:{url.rpartition('/')[2]}",
            url=url,
        )

    def _person(self, person: Mapping[str, Any]) -> Reference:
        given, family = str(person["given-names"]), str(person["family-names"])
        identifier = f"#{given}-{family}".replace(" ", "-").replace(".", "")
        names = {"givenName": given, "familyName": family}
        return self._add(identifier, "Person", name=f"{given} {family}", **names)

    def _file(self, path: str, kind: str | list[str] = "File", **properties: Any) -> None:
        ending = path[path.rfind(".") :]
        form = {"encodingFormat": FORMATS[ending]} if ending in FORMATS else {}
        digest, size = self._files[path]
        own = {"name": path.rpartition("/")[2], "sha256": digest, "contentSize": str(size)}
        self._add(path, kind, **{**own, **form, **properties})

    def add_files(self, jobs: Iterable[Job], config: str, lock: str) -> None:
        """Add the workflow's inputs, what describes them, and the results."""
        extra = [name for name in DESCRIBING if name in self._files]
        results = [path for job in jobs for path in job.outputs]
        for path in dict.fromkeys((config, lock, *extra, *results)):
            self._file(path)
        for path, name in ((config, "config"), (lock, "lock")):
            self.entities[path]["exampleOfWork"] = {"@id": f"{WORKFLOW}#{name}-file"}

    def add_workflow(self, stages: Sequence[str]) -> None:
        """Add the workflow with its parameters, its steps and their tools."""
        tools = [
            self._add(
                f"#descentflow.stages.{stage}",
                "SoftwareApplication",
                name=f"python -m descentflow.stages.{stage}",
                description=STAGES[stage],
                version=__version__,
            )
            for stage in stages
        ]
        steps = [
            self._add(
                f"{WORKFLOW}#{stage}",
                "HowToStep",
                name=stage,
                position=str(number),
                workExample=tool,
            )
            for number, (stage, tool) in enumerate(zip(stages, tools, strict=True), 1)
        ]
        language = self._add(
            "#snakemake",
            ["ComputerLanguage", "SoftwareApplication"],
            name="Snakemake",
            url="https://snakemake.github.io",
            version=version("snakemake"),
        )
        self._file(
            WORKFLOW,
            ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
            name="descentflow",
            programmingLanguage=language,
            version=__version__,
            input=[self._parameter(name, "file") for name in ("config", "lock")],
            output=[self._parameter(name, "files") for name in OUTPUTS.values()],
            hasPart=tools,
            step=steps,
        )

    def _parameter(self, name: str, files: str) -> Reference:
        return self._add(
            f"{WORKFLOW}#{name}-{files}",
            "FormalParameter",
            name=name,
            additionalType="File",
            conformsTo={"@id": "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"},
            valueRequired="True",
        )

    def add_run(self, jobs: Sequence[Job], config: str, lock: str) -> None:
        """Add the run of the workflow, and of every job in it."""
        outputs = [
            (path, OUTPUTS[j.stage]) for j in jobs if j.stage in OUTPUTS for path in j.artefacts
        ]
        for path, name in outputs:
            self.entities[path]["exampleOfWork"] = {"@id": f"{WORKFLOW}#{name}-files"}
        run = self._add(
            "#run",
            "CreateAction",
            name=f"Run of descentflow {__version__} on {config}",
            instrument={"@id": WORKFLOW},
            object=_references((config, lock)),
            result=_references(path for path, _ in outputs),
        )
        self._add(
            "#engine",
            "OrganizeAction",
            name="Snakemake's run",
            instrument={"@id": "#snakemake"},
            object=[self._job(number, job, config) for number, job in enumerate(jobs)],
            result=run,
        )
        files = [entity["@id"] for entity in self.entities.values() if "sha256" in entity]
        self.entities["./"] |= {"hasPart": _references(files), "mentions": [run]}

    def _job(self, number: int, job: Job, config: str) -> Reference:
        """Add one job's action, and the step of the workflow that it was."""
        action = self._add(
            f"#job-{number}",
            "CreateAction",
            name=" ".join(filter(None, (job.stage, job.trainer, job.study))),
            instrument={"@id": f"#descentflow.stages.{job.stage}"},
            object=_references(job.inputs or (config,)),
            result=_references(job.outputs),
            description=job.json,
            actionStatus={"@id": "http://schema.org/CompletedActionStatus"},
        )
        step = {"@id": f"{WORKFLOW}#{job.stage}"}
        return self._add(f"#control-{number}", "ControlAction", instrument=step, object=action)


def _references(identifiers: Iterable[str]) -> list[Reference]:
    return [{"@id": identifier} for identifier in identifiers]
