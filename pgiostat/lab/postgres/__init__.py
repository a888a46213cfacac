"""The laboratory's own PostgreSQL server: `Cluster`, and what it consists of.

    cluster     starts, stops and crashes a server, and has its connection strings
    postmaster  the server's main process
    initdb      the creation of a data directory
    files       directories, ownership, settings and log
    binaries    PostgreSQL's programs
    account     the user that the server runs as
    processes   the machine's processes
    disk_space  a check before work, and the error of a full disk

May import `errors` and libraries.  Must not import any other package of `lab`.
"""
