"""`python -m proxyless.cli`: the command, by this interpreter."""

from . import main

if __name__ == "__main__":
    main()
