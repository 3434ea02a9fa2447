"""The Workflow Run RO-Crate: what went in, what each step did, what came out, and the papers.

RO-Crate 1.1 with the profiles Process, Workflow and Provenance Run Crate 0.5 and Workflow RO-Crate
1.0. Every identifier is a path or a name, never drawn at random, and the only date is the one given,
so the same results give the same text. Run times are not told.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rocrate.model import ContextEntity, Entity
from rocrate.rocrate import ROCrate

from descentflow import __version__
from descentflow.planning.jobs import Job

NAME = "ro-crate-metadata.json"
WORKFLOW = "workflow/Snakefile"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
TERMS = "https://w3id.org/ro/terms/workflow-run/context"
STAGES = {
    "sample": "Draw the initial parameters of a chunk",
    "train": "Gradient descent or gradient flow, one segment of a chunk",
    "aggregate": "Join a study's runs into one dataset",
    "draw": "Draw a study's figures",
    "judge": "Judge the claims",
    "show_claims": "Show the table of claims as a picture and as a page",
}
PARAMETERS = {"aggregate": "datasets", "draw": "figures", "judge": "claims", "show_claims": "pages"}
"""The workflow's outputs by the stage that makes them; other files are between stages."""

FORMATS = {
    ".nc": "application/x-netcdf",
    ".csv": "text/csv",
    ".html": "text/html",
    ".pdf": "application/pdf",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".json": "application/json",
    ".yaml": "application/yaml",
    ".cff": "application/yaml",
    ".lock": "text/plain",
}
Properties = dict[str, Any]


@dataclass(frozen=True)
class Described:
    """What the crate tells: files with digest and size, jobs, and what the results belong to."""

    digests: Mapping[str, str]
    sizes: Mapping[str, int]
    made: Iterable[Job]
    config: str
    lock: str
    date: str
    citation: Mapping[str, Any]
    snakemake: str
    extra: Iterable[str] = field(default=())


def metadata(described: Described) -> bytes:
    """The crate's metadata file."""
    crate = ROCrate(version="1.1")
    crate.metadata.extra_contexts.append(TERMS)
    _root(crate, described)
    papers = [_paper(crate, paper) for paper in described.citation.get("references", [])]
    crate.root_dataset["citation"] = papers
    made = list(described.made)
    results = [path for job in made for path in job.outputs]
    sources = (described.config, described.lock, *described.extra)
    files = {path: _file(crate, path, described) for path in (*sources, *results)}
    tools = _workflow(crate, described, [made_.stage for made_ in made])
    _runs(crate, described, made, files, tools)
    found = crate.metadata.generate()
    found["@graph"].sort(
        key=lambda entity: (entity["@id"] != NAME, entity["@id"] != "./", entity["@id"])
    )
    return (json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def digests_of(text: str) -> dict[str, str]:
    """The SHA-256 of every file that a crate's metadata tells; raises ValueError for other text."""
    graph = json.loads(text)["@graph"]
    return {
        str(entity["@id"]): str(entity["sha256"])
        for entity in graph
        if isinstance(entity, dict) and "sha256" in entity
    }


def _add(crate: ROCrate, identifier: str, kind: str | list[str], /, **properties: Any) -> Entity:
    return crate.add(ContextEntity(crate, identifier, {"@type": kind, **properties}))


def _root(crate: ROCrate, described: Described) -> None:
    citation = described.citation
    names = [str(author.get("name")) for author in citation.get("authors", [])]
    authors = [_add(crate, f"#author-{n}", "Organization", name=x) for n, x in enumerate(names)]
    license_name = str(citation.get("license"))
    terms = f"https://spdx.org/licenses/{license_name}"
    profiles = [
        _add(crate, url, "CreativeWork", name=name, version=url.rpartition("/")[2])
        for url, name in PROFILES.items()
    ]
    crate.root_dataset["conformsTo"] = profiles
    crate.name = f"descentflow {__version__}: results, sources and how they were made"
    crate.description = str(citation.get("abstract", ""))
    crate.datePublished = described.date
    crate.keywords = ", ".join(map(str, citation.get("keywords", [])))
    crate.root_dataset["author"] = authors
    crate.root_dataset["version"] = __version__
    crate.root_dataset["license"] = _add(crate, terms, "CreativeWork", name=license_name)


def _paper(crate: ROCrate, paper: Mapping[str, Any]) -> Entity:
    url = str(paper["url"])
    authors = []
    for person in paper["authors"]:
        given, family = str(person["given-names"]), str(person["family-names"])
        who = f"#{given}-{family}".replace(" ", "-").replace(".", "")
        known = crate.get(who)
        properties = {"name": f"{given} {family}", "givenName": given, "familyName": family}
        authors.append(known or _add(crate, who, "Person", **properties))
    number = f"arXiv:{url.rpartition('/')[2]}"
    title = str(paper["title"])
    return _add(
        crate, url, "ScholarlyArticle", name=title, author=authors, identifier=number, url=url
    )


def _file(crate: ROCrate, path: str, described: Described) -> Entity:
    properties: Properties = {
        "name": path.rpartition("/")[2],
        "sha256": described.digests[path],
        "contentSize": str(described.sizes[path]),
    }
    ending = path[path.rfind(".") :]
    if ending in FORMATS:
        properties["encodingFormat"] = FORMATS[ending]
    return crate.get(path) or crate.add_file(dest_path=path, properties=properties)


def _workflow(crate: ROCrate, described: Described, stages: list[str]) -> dict[str, Entity]:
    """The workflow with its steps; the tools by stage."""
    language = _add(
        crate,
        "#snakemake",
        ["ComputerLanguage", "SoftwareApplication"],
        name="Snakemake",
        url="https://snakemake.github.io",
        version=described.snakemake,
    )
    properties = {
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
        "name": "descentflow",
        "sha256": described.digests[WORKFLOW],
        "contentSize": str(described.sizes[WORKFLOW]),
    }
    workflow = crate.add_file(dest_path=WORKFLOW, properties=properties)
    workflow["programmingLanguage"] = language
    workflow["version"] = __version__
    workflow["input"] = [_parameter(crate, "config"), _parameter(crate, "lock")]
    workflow["output"] = [_parameter(crate, name) for name in PARAMETERS.values()]
    crate.mainEntity = workflow
    chosen = [stage for stage in STAGES if stage in stages]
    tools = {stage: _tool(crate, stage) for stage in chosen}
    workflow["hasPart"] = list(tools.values())
    workflow["step"] = [
        _add(
            crate,
            f"{WORKFLOW}#{stage}",
            "HowToStep",
            name=stage,
            position=str(number),
            workExample=tools[stage],
        )
        for number, stage in enumerate(chosen, 1)
    ]
    return tools


def _parameter(crate: ROCrate, name: str) -> Entity:
    return _add(
        crate,
        f"{WORKFLOW}#{name}-{'files' if name in PARAMETERS.values() else 'file'}",
        "FormalParameter",
        name=name,
        additionalType="File",
        conformsTo={"@id": "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"},
        valueRequired="True",
    )


def _tool(crate: ROCrate, stage: str) -> Entity:
    return _add(
        crate,
        f"#descentflow.stages.{stage}",
        "SoftwareApplication",
        name=f"python -m descentflow.stages.{stage}",
        description=STAGES[stage],
        version=__version__,
    )


def _runs(
    crate: ROCrate,
    described: Described,
    made: list[Job],
    files: Mapping[str, Entity],
    tools: Mapping[str, Entity],
) -> None:
    """The run of the workflow, and of every job in it."""
    controls = [
        _job(crate, number, job, files, tools[job.stage], described.config)
        for number, job in enumerate(made)
    ]
    inputs = {"config": files[described.config], "lock": files[described.lock]}
    for name, entity in inputs.items():
        entity["exampleOfWork"] = {"@id": f"{WORKFLOW}#{name}-file"}
    outputs = []
    for job in made:
        for path in job.outputs if job.stage in PARAMETERS else ():
            files[path]["exampleOfWork"] = {"@id": f"{WORKFLOW}#{PARAMETERS[job.stage]}-files"}
            outputs.append(files[path])
    run = _add(
        crate,
        "#run",
        "CreateAction",
        name=f"Run of descentflow {__version__} on {described.config}",
        instrument=crate.mainEntity,
        object=list(inputs.values()),
        result=outputs,
    )
    crate.root_dataset["mentions"] = [run]
    _add(
        crate,
        "#engine",
        "OrganizeAction",
        name="Snakemake's run",
        instrument={"@id": "#snakemake"},
        object=controls,
        result=run,
    )


def _job(
    crate: ROCrate,
    number: int,
    job: Job,
    files: Mapping[str, Entity],
    tool: Entity,
    config: str,
) -> Entity:
    """One job's action, and the step of the workflow that it was."""
    action = _add(
        crate,
        f"#job-{number}",
        "CreateAction",
        name=" ".join(filter(None, (job.stage, job.trainer, job.study))),
        instrument=tool,
        object=[files[path] for path in job.inputs or (config,)],
        result=[files[path] for path in job.outputs],
        description=job.json,
        actionStatus={"@id": "http://schema.org/CompletedActionStatus"},
    )
    step = {"@id": f"{WORKFLOW}#{job.stage}"}
    return _add(crate, f"#control-{number}", "ControlAction", instrument=step, object=action)
