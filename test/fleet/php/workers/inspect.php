<?php
// Answers with all that a job tells of itself, as JSON.

function inspect($job, &$log)
{
    return json_encode([
        'workload' => $job->workload(),
        'workloadSize' => $job->workloadSize(),
        'function' => $job->functionName(),
        'handle' => $job->handle(),
        'unique' => $job->unique(),
        'returnCode' => $job->returnCode(),
        'gearman' => extension_loaded('gearman'),
        'class' => $job instanceof GearmanJob,
        'worker' => getenv('GEARMAN_WORKER'),
        'pid' => getmypid(),
    ]);
}
