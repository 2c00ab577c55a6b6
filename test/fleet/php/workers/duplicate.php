<?php
// Answers with the workload.

function duplicate($job, &$log)
{
    return $job->workload();
}
