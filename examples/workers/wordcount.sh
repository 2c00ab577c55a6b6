#!/bin/sh
# A worker as an executable: the workload comes on standard input, the answer
# goes to standard output. The function is named after the file: wordcount.
#
#   echo "one two three" | gearman-manager job wordcount
#   3
exec wc -w
