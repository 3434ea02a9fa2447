import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def own_environment() -> Iterator[None]:
    """Give every test the caller's variables: stages set some, also in the process of a test."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
