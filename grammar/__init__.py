"""The grammar of the language, and what is generated from it."""

if __name__ == "grammar":  # found through the checkout's root: it would be a second copy
    raise ImportError("import this package as 'qrlang.grammar', not as 'grammar'")
