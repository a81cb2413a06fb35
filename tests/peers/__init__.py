"""The real programs that tests talk to, each with a way to tell whether it is here and how to get it.

A test that needs one carries its marker. A missing peer skips these tests and is named at the end of the run;
`REQUIRE_PEERS=all` (or a list, `runner,postgres`) turns the skip into a failure.
"""
