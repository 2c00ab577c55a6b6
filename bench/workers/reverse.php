<?php
// A worker file as GearmanManager and gearman-manager take them: the function
// that performs the jobs has the name of the file.

function reverse($job, &$log)
{
    return strrev($job->workload());
}
