<?php
// Takes the milliseconds in the workload and answers with its process.

function nap($job, &$log)
{
    usleep(1000 * (int) $job->workload());

    return getmypid();
}
