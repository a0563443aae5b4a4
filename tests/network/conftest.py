"""Fixtures of the network tests."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def reference() -> ModuleType:
    """The plain integer evaluator beside this file."""
    name = "spusim_integer_reference"
    if name not in sys.modules:
        path = Path(__file__).with_name("integer_reference.py")
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]
