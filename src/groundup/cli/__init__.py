"""How people meet it in a terminal: one small file for each command.

`main` finds the commands in a table of names and addresses, loads the one that is asked for, and alone turns an error
into text and an exit status. `language` chooses between English and Chinese, `terminal` knows what a terminal can
show, and `view` draws a training run while it goes on.
"""
