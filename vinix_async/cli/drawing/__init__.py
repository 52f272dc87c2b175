"""Draw callflows as a tree in a terminal, as Mermaid text, as SVG or PNG, and as an HTML page or report."""
