"""Runs of the program that are killed, starved and interrupted, and what is left of them.

From outside, through the command line: nothing here knows how the program is built. A run takes
place in a process of its own whose file operations and SQLite statements are counted. At the n-th
of these boundaries it is killed, or the operation fails; then the same command is run again, and
what it leaves is compared with what an uninterrupted run has left.

    spec       what is to happen to a run
    watch      counts boundaries and strikes at one of them
    files      the boundaries of files and folders
    sql        the boundaries of SQLite
    driver     the program under a spec: python -m tests.crash.driver SPEC -- ARGUMENTS
    runs       one run under a spec, and how it has ended
    scenarios  histories, doors, sinks, first and later runs
    places     where it takes place
    outputs    what a run has left: whole, the same, lost, doubled
    harness    a scenario on disk, and one trial after the other on it
    chance     trials by lot, for the long form
    worker     a process of the long form
    full_disk  trials on a file system that is really full

The long form: python -m tests.crash --n 1000 --seed 1 --jobs 2
"""
