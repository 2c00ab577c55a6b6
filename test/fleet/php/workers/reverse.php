<?php
// A function named after the file. Its log has a line, a line that is too long,
// and what is no line.

function reverse($job, &$log)
{
    $log[] = 'reversing ' . $job->workload();
    $log[] = str_repeat('L', 256) . 'too long';
    $log[] = ['key of the log' => ['value of the log']];
    $log[] = 4711;

    return strrev($job->workload());
}
