"""Forms of the same numbers: one file a form.  A renderer receives numbers and derives none."""
