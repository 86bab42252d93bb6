"""`python -m smppgw`: the command line, where its script is not on the path."""

from smppgw.cli import main

if __name__ == "__main__":
    main()
