<?php
// The worker file of the reload table. It answers with its edition, after as many
// milliseconds as the workload says.

function edition($job, &$log)
{
    usleep(1000 * (int) $job->workload());
    return 'EDITION';
}
