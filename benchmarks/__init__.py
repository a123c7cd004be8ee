"""Speed on stated work, peers beside it, both sides in one run."""
