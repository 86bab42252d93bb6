"""What a job must respect before and while it is sent.

`spreadsheet` reads any list into rows of text; `recipients` turns rows into numbers, and says what
was left out and why; `submission` makes a job of them, or the preview of one.
"""
