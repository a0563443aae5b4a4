"""What Ctrl-C is told as, wherever it comes: known before anything is loaded."""

INTERRUPTED = 130  # 128 + SIGINT, as shells say it
TOLD = "interrupted; nothing was written"
