#!/bin/sh
# An executable for the tests that kill workers; what it does is written in main.go
# beside it.
read -r file seconds
if [ "$file" != - ]; then
	echo $$ >>"$file"
fi
sleep "$seconds"
printf %s $$
