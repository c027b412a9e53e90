"""Gold tests: cases that a model must get right, each with what its answer must be like.

    cases = read_folder(folder)
    outcomes = run_cases(cases, model, …)

A case is YAML, and runs under pytest (`cli/pytest_gold.py`) or as `tunewright eval gold FOLDER MODEL`.
"""
