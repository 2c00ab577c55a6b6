<?php
// A release as a PHP file, see main.go beside it.

function FUNCTION_NAME($job, &$log)
{
    $begin = microtime(true);
    [$id, $seconds, $file] = explode(' ', $job->workload());
    usleep((int) (1e6 * (float) $seconds));
    $pid = getmypid();
    file_put_contents($file, sprintf("%s VERSION %d %d %d\n", $id, $pid, 1e9 * $begin, 1e9 * microtime(true)), FILE_APPEND);

    return "$id VERSION $pid";
}
