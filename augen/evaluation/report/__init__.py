"""`reports/report.html`: one page that shows what a run did, to be opened from disk, without a network or a server."""
