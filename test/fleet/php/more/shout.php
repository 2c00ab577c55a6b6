<?php
// A function in a second directory.

function shout($job, &$log)
{
    return strtoupper($job->workload()) . '!';
}
