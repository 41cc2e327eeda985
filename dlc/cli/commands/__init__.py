"""One command a file; each module defines ``command``."""
