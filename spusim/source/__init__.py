"""Program sources: `.spuasm` files that say everything a run needs; see docs/assembly.md."""

from spusim.source.errors import SourceError
from spusim.source.read import Source, is_source, load_source, read_source

__all__ = ["Source", "SourceError", "is_source", "load_source", "read_source"]
