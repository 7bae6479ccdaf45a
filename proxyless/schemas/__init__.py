"""JSON Schemas of the documents that commands print: other programs are written against them."""
