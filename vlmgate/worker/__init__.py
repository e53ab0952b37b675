"""The worker process: one job, done by the module of that name, and then it ends. `vlmgate.protocol` says how it speaks."""
