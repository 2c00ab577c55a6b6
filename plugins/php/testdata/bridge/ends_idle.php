<?php
// Ends the process on a signal, between two jobs.

function reverse($job, &$log)
{
    return strrev($job->workload());
}

pcntl_signal(SIGUSR1, function () {
    exit(3);
});
