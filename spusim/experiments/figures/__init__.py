"""Charts drawn with matplotlib, for print and for people who see few colours."""
