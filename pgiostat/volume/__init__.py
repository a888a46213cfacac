"""The disk underneath: volume models, I/O credits, and device counters.

May import `analysis`, `statistics`, `units` and `errors`. `models`, `bucket`, `demand` and `burst`
are arithmetic; only `device` reads counters, of the kernel and of the cloud.
"""
