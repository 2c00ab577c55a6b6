#!/bin/sh
# An executable for tests of a worker's life; what it does is written in main.go
# beside it.
read -r word file argument
runs=0
if [ "$file" != - ]; then
	alive=0
	if [ -e "$file" ]; then
		previous=$(tail -n 1 "$file")
		previous=${previous%% *}
		flags=$(sed 's/.*) //' "/proc/$previous/stat" 2>/dev/null | cut -d ' ' -f 7)
		if [ -n "$flags" ] && [ $((flags & 4)) = 0 ]; then
			alive=1
		fi
	fi
	echo "$$ $(date +%s%N) $alive" >>"$file"
	runs=$(wc -l <"$file")
fi
case $word in
echo) printf %s "$argument" ;;
pid) printf %s "$PPID" ;;
once)
	if [ "$runs" = 1 ]; then
		sleep 60
	fi
	printf %s "$runs"
	;;
limits) cat /proc/self/limits; cat /proc/self/stat ;;
sleep) sleep 60 ;;
busy) while :; do :; done ;;
stuck) kill -STOP $$ ;;
segv) kill -SEGV $$ ;;
*)
	echo "what is $word?" >&2
	exit 1
	;;
esac
