"""`make bench`: how fast it is, against something real that ran in turn with it. One module a group of figures."""
