"""Long tests of what happens when things go wrong: run by hand, their figures in ../RELIABILITY.md.

Their short forms are among the tests.
"""
