"""The local page: a title in, the descriptions of the base and the tuned model out, in a browser."""

import os

# Gradio and the hub's client read these when they are imported, which is after this.
os.environ.update(
    GRADIO_ANALYTICS_ENABLED="False",
    GRADIO_MCP_SERVER="False",
    GRADIO_SHARE="False",
    HF_HUB_DISABLE_TELEMETRY="1",
)
