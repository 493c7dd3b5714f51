"""`reports/report.html`: one page that shows what a run did, to be opened from disk, without a network or a server.

``questions``  every dev question with its samples and vote, as the page's script reads them
``charts``     the curves as Vega-Lite specifications
``page``       the page itself: its template, style and script, and what is filled in
"""
