"""Experiments: one change each, run, measured and judged.

    run         the experiments, and their runs into a history
    stage       the servers that they run on
    results     the outcomes, from the history
    outcome     the arithmetic of an experiment against the baseline
    hypotheses  the points of the story, each judged
    render      outcomes as text, Markdown, JSON and CSV

May import the rest of `lab`.  Must not import `demo`.
"""
