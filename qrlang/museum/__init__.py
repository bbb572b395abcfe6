"""The museum: many runs as one page that opens from disk.

`exhibit` reads a run folder, `site` writes the page: `page/` holds its HTML, style and script as
they are, `data.js` what they show. Nothing is fetched from anywhere.
"""
