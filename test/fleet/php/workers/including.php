<?php
// Includes other files: beside itself, by a path that begins at itself, and by
// one that begins nowhere.

require_once 'lib/twice.php';
require_once __DIR__ . '/lib/Thrice.php';

function including($job, &$log)
{
    return twice(Thrice::of($job->workload()));
}
