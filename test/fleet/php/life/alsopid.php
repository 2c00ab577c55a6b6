<?php
// Takes the milliseconds in the workload and answers its process.

function alsopid($job, &$log)
{
    usleep(1000 * (int) $job->workload());

    return getmypid();
}
