"""What an editor asks of a program that is being written: what is wrong, what is this, what fits.

Everything but `server` knows nothing of editors: texts, offsets and spans go in and out.
"""
