"""A model as a Python file that a user of Amazon Braket finds natural."""
