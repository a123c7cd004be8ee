"""What the stages and `ask` share: one module a subject."""

import logging

# It recommends an optional kernel whenever it is imported on a CPU, in every stage anew.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
