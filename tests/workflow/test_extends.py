"""A configuration that extends another, as the workflow reads it: paths relative to the file."""

from checkout import Checkout, rules


def test_what_a_file_extends_is_planned(warm: Checkout) -> None:
    """Nothing where nothing differs; one study alone where the other is left out."""
    folder = warm.root / "mine"
    folder.mkdir()
    (folder / "same.yaml").write_text("extends: ../tiny.yaml\n")
    assert warm.planned(config="mine/same.yaml") == []
    (folder / "less.yaml").write_text(
        "extends: ../tiny.yaml\nstudies: {random_initializations: null}\n"
    )
    planned = warm.planned(config="mine/less.yaml")
    assert dict(rules(planned)) == {"judge": 1, "claims": 1}


def test_a_missing_file_is_told(warm: Checkout) -> None:
    (warm.root / "mine.yaml").write_text("extends: missing.yaml\n")
    ended = warm.snakemake("--dry-run", config="mine.yaml")
    assert ended.code != 0
    assert "missing.yaml: cannot be read: No such file or directory" in ended.text
