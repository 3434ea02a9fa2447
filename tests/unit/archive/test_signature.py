"""The commands of docs/trust.md sign an archive, and find that it was changed afterwards."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "trust.md"
NAME = "descentflow-0.1.0.tar"
BLOCK = re.compile(r"test_signature\.py.*?```bash\n(.*?)```", re.DOTALL)


def run(commands: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = ["bash", "-euc", commands]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
def test_a_signature_is_of_these_bytes(tmp_path: Path) -> None:
    sign, verify = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    archive = tmp_path / NAME
    archive.write_bytes(bytes(range(256)) * 100)
    signed = run(sign, tmp_path)
    assert signed.returncode == 0, signed.stderr
    checked = run(verify, tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert 'Good "descentflow" signature for author@example.org' in checked.stdout
    archive.write_bytes(archive.read_bytes()[:-1] + b"x")
    assert run(verify, tmp_path).returncode != 0
