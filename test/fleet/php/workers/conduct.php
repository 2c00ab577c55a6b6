<?php
// Runs the code in its workload.

require_once __DIR__ . '/lib/Text.php';

function conduct($job, &$log)
{
    return eval($job->workload());
}
