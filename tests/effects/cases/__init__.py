"""Cases of effects, one module for each subject: `CASES` is a list of `effect(...)`."""
