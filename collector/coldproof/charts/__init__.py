"""Charts as SVG: the same input gives the same bytes, and a chart fits any width.

Positions along the axis are percentages and everything else pixels, so text keeps its size
whether a chart is 360 or 900 pixels wide.
"""
