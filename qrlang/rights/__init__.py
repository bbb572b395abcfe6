"""Rights of data: what may be read, until when, and joined with what.

A file may have a manifest beside it (`mine.csv.rights.toml`, or `rights.toml` for a whole folder).
`manifest` reads it, `gate` is asked before a file is opened and stands between it and whoever reads
on, `seen` is what a run has read, `shut` what may not be read any more. Data without a manifest is
free, and costs nothing. The page of it: docs/rights.md.
"""
