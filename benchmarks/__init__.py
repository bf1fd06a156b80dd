"""What is measured, and what fills the tables of the pages. Each is a command: `python -m benchmarks.NAME --help`.

the library      table        the main operations on both backends, for the README
                 aims         how far this machine is from what the library aims at
                 peers        other CKKS libraries in the same run
                 profile      where the time of one multiplication goes; overhead: what Python adds to it
                 memory, wire what memory takes; how fast objects become bytes and come back
its circuits     functions, comparison, linear, matching, models, plan: each fills the page of its subject
the service      answers      what an answer costs, by mode
the tests        mutants      whether they notice defects
                 promises     the table of what is promised, and how far it is kept
an installation  licences, pins
over time        suite        what asv runs
for all          machine      its name, and a clock to compare runs by
                 pages        tables, and the marks between which they stand
"""
