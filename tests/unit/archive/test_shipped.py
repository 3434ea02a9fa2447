"""The tracked manifest and the citation files belong to this tree."""

import json
from pathlib import Path

import pytest
import yaml

from descentflow import __version__
from descentflow.archive import checkout, manifest
from descentflow.config import validate
from descentflow.planning.jobs import Jobs, lock_digest

ROOT = Path(__file__).parents[3]


def test_the_manifest_is_of_this_configuration_lock_and_code() -> None:
    path = ROOT / checkout.MANIFEST
    if not path.is_file():
        pytest.skip(f"no {checkout.MANIFEST} is tracked yet; `make manifest` writes it")
    mapping = validate.load(ROOT / "config.yaml")
    jobs = Jobs.from_mapping(mapping, lock_digest(ROOT / "envs/requirements.lock"))
    reasons = manifest.stale(manifest.read(path), jobs)
    assert not reasons, f"{'; '.join(reasons)}: run `make manifest`"


def test_zenodo_and_the_citation_file_agree() -> None:
    zenodo = json.loads((ROOT / ".zenodo.json").read_text())
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    for key in ("title", "version", "license", "keywords"):
        assert zenodo[key] == citation[key], key
    assert zenodo["description"] == citation["abstract"]
    assert zenodo["upload_type"] == citation["type"]
    names = [author["name"] for author in citation["authors"]]
    assert [creator["name"] for creator in zenodo["creators"]] == names
    papers = [f"arXiv:{paper['url'].rpartition('/')[2]}" for paper in citation["references"]]
    assert [related["identifier"] for related in zenodo["related_identifiers"]] == papers
    assert len(papers) == 10
    assert citation["version"] == __version__
    assert checkout.date(ROOT).date().isoformat() == citation["date-released"]
