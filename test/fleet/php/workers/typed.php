<?php
// Says of each parameter what it is.

declare(strict_types=1);

function typed(GearmanJob $job, array &$log): string
{
    $log[] = 'typed';

    return strtoupper($job->workload());
}
