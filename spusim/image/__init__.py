"""Program images: one file that holds a Program, and is refused when anything about it is off.

`spusim.isa.container` describes the file. Its content is the Program as nested JSON objects with
every scalar; dicts are lists of pairs, in order. Every array is a section named by its place in
the program; a tuple of arrays is one section, and the object has the number of rows of each. The
descriptors that instructions name are sections too (`core0.matrix_records`), as the ISA encodes
them, and are checked against the layouts and tables that are stored.
"""

from spusim.image.file import load_program, save_program
from spusim.isa.container import ImageError

__all__ = ["ImageError", "load_program", "save_program"]
