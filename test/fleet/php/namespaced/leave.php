<?php

namespace Acme\Jobs;

function leave($job, &$log)
{
    return __FUNCTION__ . ' leaves ' . $job->workload();
}
