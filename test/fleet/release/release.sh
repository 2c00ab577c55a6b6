#!/bin/sh
# A release as an executable, see main.go beside it.
read -r id seconds file
begin=$(date +%s%N)
[ "$seconds" = 0 ] || sleep "$seconds"
echo "$id VERSION $PPID $begin $(date +%s%N)" >>"$file"
printf '%s VERSION %s' "$id" "$PPID"
