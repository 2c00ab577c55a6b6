<?php
// A worker file whose jobs wait for 2 ms, as for a database.

function linger($job, &$log)
{
    usleep(2000);
    return strrev($job->workload());
}
