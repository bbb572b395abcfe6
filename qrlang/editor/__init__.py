"""What an editor asks of a program that is being written: what is wrong, what is this, what fits.

The protocol is known to `server`, `answers`, `places` and `said`; to the others texts, offsets and
spans go in and out.
"""
