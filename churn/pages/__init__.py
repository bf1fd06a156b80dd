"""What the HTML pages share, whatever they are about.

html      head, style and foot; a section with a list
drawing   pictures as SVG text: their colours, and how they get into a page
"""
