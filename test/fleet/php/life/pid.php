<?php
// Takes the milliseconds in the workload and answers its process.

function pid($job, &$log)
{
    usleep(1000 * (int) $job->workload());

    return getmypid();
}
