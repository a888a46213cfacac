"""python -m pgiostat."""

from pgiostat.cli import main

main()
