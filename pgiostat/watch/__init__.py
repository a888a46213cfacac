"""Live and replayed screens: which queries read, now.

`sources` yield intervals, `model` adds them up, `screen` draws them, `keys` changes the view, and
`app` connects these. May import `render` and all below it. Must not import `collector`,
`dataframes` or `export`.
"""
