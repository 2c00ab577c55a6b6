<?php

// The name without the prefix is somebody else's.
function resize($job, &$log)
{
    return 'the wrong one';
}

function job_resize($job, &$log)
{
    return 'resized ' . $job->workload();
}
