<?php

// Keeps its worker from other jobs until the file that the workload names is
// there.
function block($job, &$log)
{
    while (!file_exists($job->workload())) {
        usleep(5000);
        clearstatcache();
    }

    return getmypid();
}
