"""Run the command line as `python -m pacbound_cli`."""

from .main import main

main()
